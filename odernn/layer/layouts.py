"""From what a layer is given to `Sequences`: the checks of each layout, and the way back to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from solvers.checks import check_entries, is_traced

from ..fields.field import VectorField
from . import inputs
from .rows import Rows, rows_of_lengths, rows_of_mask, rows_of_nested, rows_of_packed
from .sequences import Input, Sequences

Lengths = Tensor | Sequence[int]
"""Samples of each sequence of a padded batch, (batch,)."""


def sequences_of(
    x: Input,
    field: VectorField,
    *,
    batch_first: bool,
    lengths: Lengths | None = None,
    mask: Tensor | None = None,
    resets: Tensor | None = None,
    check_input: bool = False,
) -> Sequences:
    """The sequences of a call, checked.

    Args:
        x: a dense tensor, (time, batch, input), or (batch, time, input) if `batch_first`, or (time, input) unbatched;
            a nested tensor (batch, *, input) of the layout torch.jagged; or a PackedSequence.
        field: the field that takes the samples.
        batch_first: as above.
        lengths: samples of each sequence; the rest of a dense tensor is padding.
        mask: which samples of a dense tensor count, shaped as it without the features.
        resets: before which samples the state starts afresh, likewise.
        check_input: refuse samples that are not finite.

    Raises:
        TypeError, ValueError: an argument does not fit the field or the others; the message says what would do.
    """
    packed = isinstance(x, PackedSequence)
    if not packed and not (isinstance(x, Tensor) and x.is_nested):
        found = _dense(x, field, batch_first, lengths, mask)
    elif lengths is not None or mask is not None:
        name = "lengths" if lengths is not None else "mask"
        kind = "packed" if packed else "nested"
        raise ValueError(f"`{name}` is given and `x` is {kind}, which has lengths of its own; give one of them")
    else:
        found = _packed(x, field) if packed else _nested(x, field)
    if resets is not None:
        flags = inputs.flags_of(
            *("resets", resets, found.time, found.batch, found.samples), batched=found.batched, batch_first=batch_first
        )
        found = _with_rows(found)
        assert found.rows is not None
        found = replace(found, rows=found.rows.with_resets(flags))
    if check_input:
        _check_finite(found)
    return found


def _dense(x: Tensor, field: VectorField, batch_first: bool, lengths: Lengths | None, mask: Tensor | None) -> Sequences:
    samples = inputs.time_first(x, field, batch_first)
    time, batch = samples.shape[:2]
    batched = x.ndim == 3

    def give(output: Tensor) -> Tensor:
        if not batched:
            return output.squeeze(1)
        return output.transpose(0, 1) if batch_first else output

    found = Sequences(samples, time, batch, batched, give)
    if lengths is None and mask is None:
        return found
    if lengths is not None and mask is not None:
        raise ValueError("`lengths` and `mask` are both given; give one of them")
    if lengths is not None:
        counts = inputs.lengths_of(lengths, time, samples)
        longest = time if isinstance(counts, Tensor) else max(counts)
        return _in_storage(found, rows_of_lengths(counts, samples.device, longest))
    flags = inputs.flags_of("mask", mask, time, batch, samples, batched=batched, batch_first=batch_first)
    return replace(_in_storage(found, rows_of_mask(flags)), mask=flags)


def _with_rows(found: Sequences) -> Sequences:
    if found.rows is not None:
        return found
    samples = found.samples
    if is_traced(samples):
        lengths = torch.full((found.batch,), found.time, device=samples.device)
    else:
        lengths = [found.time] * found.batch
    return _in_storage(found, rows_of_lengths(lengths, samples.device, found.time))


def _in_storage(found: Sequences, rows: Rows) -> Sequences:
    give: Callable[[Tensor], Input] = found.give
    return replace(
        found,
        samples=found.samples.flatten(0, 1),
        rows=rows,
        give=lambda output: give(output.unflatten(0, (found.time, found.batch))),
    )


def _packed(x: PackedSequence, field: VectorField) -> Sequences:
    samples = inputs.storage(x.data, field)
    rows = rows_of_packed(x)

    def give(output: Tensor) -> PackedSequence:  # _replace would come out of a compiled program without its parts
        return PackedSequence(output, x.batch_sizes, x.sorted_indices, x.unsorted_indices)

    return Sequences(samples, rows.longest, rows.batch, True, give, rows)


def _nested(x: Tensor, field: VectorField) -> Sequences:
    if x.layout is not torch.jagged or x.ndim != 3:
        raise TypeError(
            f"`x` is nested, of {x.ndim} dimensions in the layout {x.layout}; give (batch, *, input) with "
            "layout=torch.jagged, or pad the sequences to one length"
        )
    x = x.contiguous()
    samples, offsets = inputs.storage(x.values(), field), x.offsets()  # pyright: ignore[reportAttributeAccessIssue]
    rows = rows_of_nested(offsets, x.to_padded_tensor(0.0).shape[1] if is_traced(samples) else None)
    some, rule = torch.as_tensor(rows.lengths) > 0, "no sequence of `x` is without a sample"
    check_entries(
        some,
        rule,
        lambda at: f"`x` has the lengths {rows.lengths}; leave sequences without a sample out of the batch",
    )

    def give(output: Tensor) -> Tensor:
        return torch.nested.nested_tensor_from_jagged(output, offsets)

    return Sequences(samples, rows.longest, rows.batch, True, give, rows)


def _check_finite(found: Sequences) -> None:
    """Every sample that counts is finite.

    Raises:
        ValueError: it names the first that is not.
    """
    if found.rows is None:
        inputs.check_finite_input(found.samples)
        return
    rows = found.rows
    samples: Float[Tensor, "time batch input"] = found.samples[rows.places]
    check_entries(
        samples.isfinite().all(-1) | ~rows.inside(),
        "`x` is finite",
        lambda at: (
            f"`x` is not finite: first in sequence {at[1]} at sample {int(rows.times[at])}, {samples[at].tolist()}; "
            "clean the data or mask the missing values"
        ),
    )
