"""RecurrentProblem: a sequence as an initial value problem that an engine may run at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Int
from torch import Tensor

from solvers.extend import Problem

from ..control.hold import Hold
from ..control.input_map import AffineControl
from ..fields.contract import broken_promise, moves_in_halves
from ..fields.determinism import is_deterministic
from ..fields.field import AffinePointwiseField, VectorField, is_partitioned
from ..fields.overrides import is_affine, why_slope_is_called
from .program import Products
from .recurrence import Recurrence, Scheme
from .weight_blocks import blocks_of

LARGEST_RECTANGLE = 8
"""Times as many places as samples that sequences of several lengths may take as a rectangle in a GPU's memory.

Rows end early, so that the places beyond an end cost memory and little time.
"""


class LayerInputs(NamedTuple):
    """The tensors that a sequence's problem is made of, in the order of `Problem.inputs`.

    Attributes:
        weight: K of an affine-pointwise field, or None.
        samples: x (time, batch, m), or the control of the samples, as the problem's `control` says.
        before: the control before the first sample (batch, U), or None.
        starts: the start of every interval, or None if the step is a number.
        lengths: the length of every interval, or None if the step is a number.
    """

    weight: Tensor | None
    samples: Tensor
    before: Tensor | None
    starts: Tensor | None
    lengths: Tensor | None


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the samples of sequences of several lengths lie, as `Call` has it.

    Attributes:
        index: which row of the samples each sample is, time after time, as a PackedSequence has them.
        lengths: samples of each sequence, the largest first.
        rows: of which sequence each sample of `index` is, where that is known without reading the lengths.
    """

    index: Int[Tensor, " samples"]
    lengths: Int[Tensor, " batch"]
    rows: Int[Tensor, " samples"] | None = None

    def sequences(self) -> Int[Tensor, " samples"]:
        """The sequence of each sample of `index`."""
        return packed_samples(self.lengths)[1] if self.rows is None else self.rows

    @property
    def fills_rectangle(self) -> bool:
        """Whether the rectangle (longest, batch) is not much larger than what is in it."""
        return int(self.lengths[0]) * len(self.lengths) <= LARGEST_RECTANGLE * len(self.index)

    @property
    def ends(self) -> Int[Tensor, " batch"]:
        """The place in `index` of the last sample of each sequence; for one without a sample it may be any."""
        if self.rows is not None:
            numbers = torch.arange(self.rows.shape[0], device=self.rows.device)
            return self.rows.new_zeros(self.lengths.shape[0]).scatter_reduce(0, self.rows, numbers, "amax")
        having = _samples_at(self.lengths)
        return (having.cumsum(0) - having)[self.lengths - 1] + torch.arange(len(self.lengths), device=having.device)


def packed_samples(
    lengths: Int[Tensor, " batch"], device: torch.device | None = None
) -> tuple[Int[Tensor, " samples"], Int[Tensor, " samples"]]:
    """The number of each sample in its sequence, and the sequence: all first samples, then all second ones, ...

    Args:
        lengths: of the sequences, the largest first. They are read: on the host nothing waits for a device.
        device: of the result; None for that of the lengths.
    """
    samples, having = int(lengths.sum()), _samples_at(lengths).to(device or lengths.device)
    number = torch.arange(len(having), device=having.device).repeat_interleave(having, output_size=samples)
    before = having.cumsum(0) - having
    return number, torch.arange(samples, device=having.device) - before[number]


def _samples_at(lengths: Int[Tensor, " batch"]) -> Int[Tensor, " time"]:
    """How many sequences have a sample at each time."""
    return lengths.bincount().flip(0).cumsum(0).flip(0)[1:]


class Span(NamedTuple):
    """The part of a sequence that a problem runs over.

    Attributes:
        samples: its samples (time, batch, ...), of several lengths (places, ...).
        before: the control before the first of them (batch, U), or None.
        dt: the lengths of its intervals, a number or a tensor (time,) or (time, batch, 1), of several lengths
            (1, samples).
    """

    samples: Tensor
    before: Tensor | None
    dt: float | Tensor


@final
@dataclass(frozen=True, kw_only=True)
class RecurrentProblem(Problem):
    """An initial value problem made of a field, a hold and samples.

    Attributes:
        field: the vector field.
        hold: how its control runs between samples.
        control: the control of the inputs' samples; the identity where they are the control already.
        called: why the field's own `control` has been called, or None where `control` is read off its parameters.
        pointwise: puts what looks at its first value around the field's `pointwise`.
        dt: the common length of the intervals, or None if the inputs have it.
        storage: of sequences of several lengths, which only what `Choice.takes` them runs.
        products: "bfloat16" inside an autocast to it.
        field_kind: what `odernn.fields.overrides.kind_of_field` says of the field in this call.
    """

    field: VectorField
    hold: Hold
    control: AffineControl
    called: str | None
    pointwise: Callable[[Callable[..., Tensor]], Callable[..., Tensor]]
    dt: float | None
    storage: Storage | None = None
    products: Products = "float32"
    field_kind: Hashable | None = None

    @property
    def given(self) -> LayerInputs:
        """The inputs by name."""
        return LayerInputs(*self.inputs)  # pyright: ignore[reportArgumentType]

    @property
    def span(self) -> Span:
        """The samples, the control before and the steps, of this part of the sequence."""
        _, samples, before, _, _ = self.inputs
        start, stop = self.origin, self.origin + self.length
        assert samples is not None
        if self.storage is not None:
            return Span(samples, before, self.step)
        if start and not self.hold.jumps:
            before = self.control(samples[start - 1])
        dt = self.step if self.dt is None else self.dt
        return Span(samples if self.length == samples.shape[0] else samples[start:stop], before, dt)

    @property
    def kind(self) -> Hashable | None:
        """All that decides how an engine's operators run the problem, as one value; None where more may decide it.

        Problems of one kind differ in the values of their tensors, in their length and in their batch. Solver and hold
        are in it by identity: whoever keeps a kind keeps them too.
        """
        if self.field_kind is None or self.storage is not None:
            return None
        y0, lengths = self.y0, self.inputs[4]
        steps = None if lengths is None else lengths.numel() != len(lengths)  # those of rows differ
        return (
            *(self.field_kind, id(self.solver), id(self.hold), steps, self.substeps, self.control.squashed),
            *(self.products, y0.dtype, y0.device, self.field.hidden_size),
        )

    @property
    def step(self) -> float | Tensor:
        """The lengths of the intervals of this part, as `Span` has them."""
        lengths = self.inputs[4]
        if lengths is not None:
            return lengths[self.origin : self.origin + self.length]
        assert self.dt is not None
        return self.dt

    @property
    def recurrence(self) -> Recurrence:
        """This part of the sequence in tensors, of an affine-pointwise field."""
        field, weight = self.field, self.inputs[0]
        assert isinstance(field, AffinePointwiseField)
        assert weight is not None
        scheme = Scheme(
            pointwise=self.pointwise(field.pointwise),
            control=self.control,
            between=self.hold.between,
            jumps=self.hold.jumps,
            partitioned=is_partitioned(field),
        )
        return Recurrence(scheme, weight, *self.span, blocks_of(field, weight))

    def why_not_parallel(self) -> str | None:
        """Why the field's evaluations at all times cannot be made again together, or None."""
        field = self.field
        if not isinstance(field, AffinePointwiseField) or not is_affine(field):
            return f"{type(field).__name__} is not, or is not only, an affine-pointwise field"
        if not is_deterministic(field):
            return "the field draws, counts or builds its weights again in each call"
        if why_slope_is_called(field, in_parts=self.solver.needs is not None) is None:
            return None
        return broken_promise(field, *self._layout)

    def moves_in_halves(self) -> bool:
        """Whether a method may move each half of the state along `pointwise` of all of it."""
        field = self.field
        return isinstance(field, AffinePointwiseField) and moves_in_halves(field, *self._layout)

    @property
    def _layout(self) -> tuple[Tensor, int, Tensor]:
        """K, the entries of the control, and the state."""
        weight, samples = self.inputs[0], self.inputs[1]
        assert weight is not None
        assert samples is not None
        controls = samples.shape[-1] if self.control.weight is None else len(self.control.weight)
        return weight, controls, self.y0
