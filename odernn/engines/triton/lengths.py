"""Sequences of several lengths for the kernels: as a rectangle whose rows end early, from a storage and back to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..operators import Cotangents, PullBack, Solve, Wants
from ..program import Operands, Program


def solve_any_length(solve: Solve) -> Solve:
    """As `solve`, which takes rectangles, of storages too."""

    def call(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
        if operands.lengths is None:
            return solve(operands, program, save)
        some, longest = _with_samples(operands)
        rectangle = Rectangle.of(some, program, longest)
        saved, last, *others = solve(rectangle.operands(some), replace(program, packed=False), save)
        last = _with_rest(last, operands.y0)
        return (rectangle.stored(saved, len(operands.samples)) if save else saved, last, *others)

    return call


def pull_back_any_length(pull_back: PullBack) -> PullBack:
    """As `pull_back`, which takes rectangles, of storages too."""

    def call(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
        if operands.lengths is None:
            return pull_back(operands, program, given, wants)
        some, longest = _with_samples(operands)
        count = len(some.y0)
        rectangle = Rectangle.of(some, program, longest)
        cotangents = given._replace(
            saved=rectangle.laid_out(given.saved),
            of_saved=rectangle.gradient(given.of_saved),
            of_last=None if given.of_last is None else given.of_last[:count],
        )
        found = pull_back(rectangle.operands(some), replace(program, packed=False), cotangents, wants)
        y0, weight, input_weight, bias, samples, before, dt, *rest = found
        if count < len(operands.y0):
            y0 = _with_rest(y0, torch.zeros_like(operands.y0) if given.of_last is None else given.of_last)
            before = before if operands.before is None else _with_rest(before, torch.zeros_like(operands.before))
        if wants.samples:
            samples = rectangle.of_samples(samples, len(operands.samples))
        dt = rectangle.of_steps(dt) if wants.dt else dt
        return (y0, weight, input_weight, bias, samples, before, dt, *rest)

    return call


def _with_rest(some: Tensor, every: Tensor) -> Tensor:
    """What is of the first rows, and of those after them what `every` has."""
    return some if len(some) == len(every) else torch.cat((some, every[len(some) :]))


def _with_samples(operands: Operands) -> tuple[Operands, int]:
    """Those of the rows that have a sample, and the longest; the others end where they begin. Reads the lengths."""
    assert operands.lengths is not None
    lengths, before = operands.lengths.tolist(), operands.before
    count = sum(length > 0 for length in lengths)
    if count == len(lengths):
        return operands, lengths[0]
    before = None if before is None else before[:count].contiguous()
    return operands._replace(y0=operands.y0[:count], lengths=operands.lengths[:count], before=before), lengths[0]


@dataclass(frozen=True)
class Rectangle:
    """Where the samples of a storage stand in a rectangle (time, batch), the longest sequence first.

    Where a sequence has ended stands some sample; what is made of it is neither stored nor summed.

    Attributes:
        number: of each place's sample in the storage's index.
        place: where it lies in the storage.
        ended: whether the sequence has ended.
        lengths: of the sequences, for the kernels.
        each: states that are saved a sample.
        samples: of the storage's index.
        packed: whether the states that are saved lie in the order of the index, and not where the samples lie.
    """

    number: Int[Tensor, "time batch"]
    place: Int[Tensor, "time batch"]
    ended: Bool[Tensor, "time batch"]
    lengths: Int[Tensor, " batch"]
    each: int
    samples: int
    packed: bool

    @staticmethod
    def of(operands: Operands, program: Program, longest: int) -> Rectangle:
        """That of a call with lengths.

        The index holds all first samples, then all second ones, ..., so that those of a time follow one another, and
        before time t there are min(t, length) of each sequence.
        """
        index, lengths = operands.index, operands.lengths
        assert index is not None
        assert lengths is not None
        every = torch.arange(max(longest, len(lengths)), device=index.device)
        time = every[:longest].unsqueeze(1)
        first = torch.minimum(time, lengths).sum(1, keepdim=True)
        number = (first + every[: len(lengths)]).clamp_(max=len(index) - 1)
        return Rectangle(
            *(number, index[number], time >= lengths, lengths.int()),
            each=program.substeps if program.method.family == "general-linear" else 1,
            samples=len(index),
            packed=program.packed,
        )

    def operands(self, given: Operands) -> Operands:
        """The operands of the rectangle."""
        dt = given.dt if given.dt.ndim == 0 else given.dt[self.number].T.contiguous()
        return given._replace(samples=given.samples[self.place], dt=dt, index=None, lengths=self.lengths)

    def stored(self, saved: Float[Tensor, "states batch hidden"], places: int) -> Float[Tensor, "places hidden"]:
        """States of the rectangle in a storage of so many samples; zero where there is no sample."""
        parts = saved.unflatten(0, (-1, self.each)).transpose(1, 2)
        return self._scattered(parts, self._kept, self.samples if self.packed else places).flatten(0, 1)

    def laid_out(self, saved: Float[Tensor, "places hidden"]) -> Float[Tensor, "states batch hidden"]:
        """The states of a storage in the rectangle."""
        return saved.unflatten(0, (-1, self.each))[self._kept].transpose(1, 2).flatten(0, 1)

    def gradient(self, by_saved: Float[Tensor, "places hidden"] | None) -> Float[Tensor, "states batch hidden"] | None:
        """A gradient by them; the kernel does not read it where a sequence has ended."""
        return None if by_saved is None else self.laid_out(by_saved)

    def of_samples(self, gradient: Float[Tensor, "time batch input"], places: int) -> Float[Tensor, "places input"]:
        """A gradient by the samples of the rectangle as one by those of a storage of so many."""
        return self._scattered(gradient, self.place, places)

    def of_steps(self, gradient: Float[Tensor, "time batch"]) -> Float[Tensor, " samples"]:
        """A gradient by the steps of the rectangle as one by those of the index."""
        return self._scattered(gradient, self.number, self.samples)

    @property
    def _kept(self) -> Int[Tensor, "time batch"]:
        """Where the states of a place are saved."""
        return self.number if self.packed else self.place

    def _scattered(self, values: Tensor, places: Tensor, count: int) -> Tensor:
        """Values of a rectangle at their places, of so many; one more place takes what is of no sample."""
        shape = count + 1, *values.shape[2:]
        every = count == self.samples and places is self.number  # of the index each place has one
        found = values.new_empty(shape) if every else values.new_zeros(shape)
        found[places.masked_fill(self.ended, count)] = values
        return found[:count]
