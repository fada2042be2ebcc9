"""Validate inputs, and bring them to time-major layout."""

from __future__ import annotations

from itertools import chain

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from solvers.checks import check_entries, check_tensor, is_traced

from ..control.time_grid import check_same_device
from ..fields.field import VectorField


def time_first(x: object, field: VectorField, batch_first: bool) -> Float[Tensor, "time batch input"]:
    """Return `x`, checked, as (time, batch, input); an unbatched (time, input) gets a batch of one.

    Raises:
        TypeError: `x` is not a tensor, or not floating.
        ValueError: the rank, the feature size, the dtype or the device is not the field's, or a size is zero.
    """
    wanted = "(batch, time, input)" if batch_first else "(time, batch, input)"
    x = _checked(x, field, (2, 3), f"{wanted}, or (time, input) for a single sequence")
    if x.shape[1 if batch_first and x.ndim == 3 else 0] == 0:
        raise ValueError(f"`x` has shape {tuple(x.shape)}; give {wanted} with at least one sample in time")
    if x.ndim == 2:
        return x.unsqueeze(1)
    return x.transpose(0, 1) if batch_first else x


def sample(x: object, field: VectorField) -> Float[Tensor, "batch input"]:
    """One sample checked, (batch, input); an unbatched (input,) gets a batch of one. Raises as `time_first`."""
    x = _checked(x, field, (1, 2), "one sample, (batch, input) or (input,)")
    return x.unsqueeze(0) if x.ndim == 1 else x


def check_finite_input(x: Float[Tensor, "time batch input"]) -> None:
    """Every entry of the input is finite. Reads one value back from the device.

    Raises:
        ValueError: it names the first sequence and step that are not.
    """
    check_entries(
        x.isfinite().all(dim=-1),
        "`x` is finite",
        lambda at: (
            f"`x` is not finite: first in sample {at[1]} of the batch at step {at[0]}, "
            f"{x[at].tolist()}; clean the data or mask the missing values"
        ),
    )


def storage(data: object, field: VectorField) -> Float[Tensor, "places input"]:
    """The samples of packed or nested sequences, checked as `time_first` checks."""
    check_tensor("x", data)
    assert isinstance(data, Tensor)
    if data.ndim != 2:
        raise ValueError(f"`x` has samples of shape {tuple(data.shape[1:])}; give (input,)")
    return _checked(data, field, (2,), "(places, input)")


def lengths_of(lengths: object, time: int, samples: Float[Tensor, "time batch input"]) -> list[int] | Tensor:
    """`lengths` as whole numbers, one for each sequence, from 1 to the length of the storage; a tensor under a tracer.

    Raises:
        TypeError: not a tensor or a sequence of whole numbers.
        ValueError: another number of them, or one out of range.
    """
    if isinstance(lengths, Tensor):
        if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
            raise TypeError(f"`lengths` has dtype {lengths.dtype}; give whole numbers, as torch.int64")
        if is_traced(lengths) or is_traced(samples):
            return _lengths_without_values(lengths, time, samples)
        lengths = lengths.tolist()
    if not isinstance(lengths, list | tuple) or not all(type(each) is int for each in lengths):
        raise TypeError(f"`lengths` is {lengths!r}; give a tensor (batch,) of whole numbers, or a list of them")
    _check_count(len(lengths), samples.shape[1])
    for b, each in enumerate(lengths):
        if not 1 <= each <= time:
            raise ValueError(
                f"`lengths` at {b} is {each} and `x` has {time} samples in time; give whole numbers from 1 to {time}"
                + ("; a sequence without a sample is left out of the batch" if each == 0 else "")
            )
    return torch.tensor(lengths, device=samples.device) if is_traced(samples) else list(lengths)


def _lengths_without_values(lengths: Tensor, time: int, samples: Tensor) -> Int[Tensor, " batch"]:
    """A tensor of lengths, of which the traced program checks the range."""
    if lengths.ndim != 1:
        raise ValueError(f"`lengths` has shape {tuple(lengths.shape)}; give (batch,)")
    _check_count(lengths.shape[0], samples.shape[1])
    lengths = lengths.to(samples.device)
    rule = "`lengths` are whole numbers from 1 to the samples in time"
    check_entries((lengths >= 1) & (lengths <= time), rule, lambda at: rule)
    return lengths


def _check_count(count: int, batch: int) -> None:
    if count != batch:
        raise ValueError(f"`lengths` has {count} entries and `x` a batch of {batch}; give one for each sequence")


def flags_of(
    name: str, flags: object, time: int, batch: int, like: Tensor, *, batched: bool, batch_first: bool
) -> Bool[Tensor, "time batch"]:
    """A mask over samples, laid out as (time, batch).

    Raises:
        TypeError: not a tensor of bools.
        ValueError: another shape than the input's without its features, or another device.
    """
    check_tensor(name, flags)
    assert isinstance(flags, Tensor)
    if flags.dtype != torch.bool:
        raise TypeError(f"`{name}` has dtype {flags.dtype}; give torch.bool, as `{name}.bool()`")
    wanted = ((batch, time) if batch_first else (time, batch)) if batched else (time,)
    if tuple(flags.shape) != wanted:
        raise ValueError(f"`{name}` has shape {tuple(flags.shape)}; for this input give {wanted}")
    check_same_device(name, flags, like)
    if not batched:
        return flags.unsqueeze(1)
    return flags.T if batch_first else flags


def _checked(x: object, field: VectorField, ranks: tuple[int, ...], wanted: str) -> Tensor:
    """The input checked, in the dtype of the field's parameters; it has another one only inside autocast.

    Args:
        x: the input.
        field: the field.
        ranks: the dimensions that it may have.
        wanted: those in words.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"`x` is {type(x).__name__}; give a torch.Tensor")
    if x.is_nested or x.layout is not torch.strided:
        raise TypeError(
            f"`x` is {'nested' if x.is_nested else x.layout}; give a dense tensor, a nested one with "
            "layout=torch.jagged, or a PackedSequence"
        )
    if x.ndim not in ranks:
        raise ValueError(f"`x` has shape {tuple(x.shape)}; give {wanted}")
    if not x.is_floating_point():
        raise TypeError(f"`x` has dtype {x.dtype}; give a floating dtype, as `x.float()`")
    if x.shape[-1] != field.input_size:
        raise ValueError(
            f"`x` has {x.shape[-1]} features (shape {tuple(x.shape)}) and the field takes {field.input_size}; "
            "the features are the last dimension"
        )
    parameters = list(field.parameters())
    like = parameters[0] if parameters else x
    if x.dtype != like.dtype or x.device != like.device:
        check_kind("x", x, like)
    for part in chain(parameters, field.buffers()):
        if part.device != x.device and (part.ndim or part.is_meta):
            _refuse_field(x, field)
    return x if x.dtype == like.dtype else x.to(like.dtype)


def _refuse_field(x: Tensor, field: VectorField) -> None:
    """Name the parameter or buffer of the field that does not lie where `x` lies; scalars of the host may."""
    for name, part in chain(field.named_parameters(), field.named_buffers()):
        if part.device != x.device and (part.ndim or part.is_meta):
            raise ValueError(
                f"`x` is on {x.device} and the field's `{name}` on {part.device}; move the field with "
                f"`.to({str(x.device)!r})`"
                + ("" if not part.is_meta else ", or give it values first: load_state_dict(..., assign=True)")
            )


def check_kind(name: str, x: Tensor, like: Tensor) -> None:
    """`x` has the dtype and device of the parameters; under autocast any floating dtype will do.

    Raises:
        ValueError: it has another.
    """
    if x.dtype != like.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(
            f"`{name}` has dtype {x.dtype} and the field's parameters {like.dtype}; "
            f"convert one: `{name}.to({like.dtype})`"
        )
    if x.device != like.device:
        raise ValueError(
            f"`{name}` is on {x.device} and the field's parameters on {like.device}; "
            f"move one: `{name}.to({str(like.device)!r})`"
        )
