"""Sequences of several lengths for the kernels: as a rectangle whose rows end early, from a storage and back to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..operators import Cotangents, PullBack, Solve, Wants
from ..problem import Storage, packed_samples
from ..program import Operands, Program


def solve_any_length(solve: Solve) -> Solve:
    """As `solve`, which takes rectangles, of storages too."""

    def call(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
        if operands.lengths is None:
            return solve(operands, program, save)
        some = _with_samples(operands)
        rectangle = Rectangle.of(some, program)
        saved, last, *others = solve(rectangle.operands(some), replace(program, packed=False), save)
        last = torch.cat((last, operands.y0[len(last) :]))
        return (rectangle.stored(saved) if save else saved, last, *others)

    return call


def pull_back_any_length(pull_back: PullBack) -> PullBack:
    """As `pull_back`, which takes rectangles, of storages too."""

    def call(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
        if operands.lengths is None:
            return pull_back(operands, program, given, wants)
        some = _with_samples(operands)
        count = len(some.y0)
        rectangle = Rectangle.of(some, program)
        cotangents = given._replace(
            saved=rectangle.laid_out(given.saved),
            of_saved=rectangle.gradient(given.of_saved),
            of_last=None if given.of_last is None else given.of_last[:count],
        )
        found = pull_back(rectangle.operands(some), replace(program, packed=False), cotangents, wants)
        y0, weight, input_weight, bias, samples, before, dt, *rest = found
        of_last = torch.zeros_like(operands.y0) if given.of_last is None else given.of_last
        y0 = torch.cat((y0, of_last[count:]))
        if operands.before is not None:
            before = torch.cat((before, torch.zeros_like(operands.before[count:])))
        if wants.samples:
            samples = rectangle.samples(samples, operands.samples)
        dt = dt[rectangle.number, rectangle.row] if wants.dt else dt
        return (y0, weight, input_weight, bias, samples, before, dt, *rest)

    return call


def _with_samples(operands: Operands) -> Operands:
    """Those of the rows that have a sample; the others end where they begin."""
    lengths, before = operands.lengths, operands.before
    assert lengths is not None
    count = int((lengths > 0).sum())
    if count == len(lengths):
        return operands
    return operands._replace(
        y0=operands.y0[:count], lengths=lengths[:count], before=None if before is None else before[:count].contiguous()
    )


@dataclass(frozen=True)
class Rectangle:
    """Where the samples of a storage stand in a rectangle (time, batch), the longest sequence first.

    Attributes:
        number: of each sample in its sequence, in the order of the storage's index.
        row: its sequence.
        place: where it lies in the storage.
        kept: where it stands among the samples whose states are saved.
        ends: the last sample of each sequence, by its number in the index.
        lengths: of the sequences, for the kernels.
        time: the longest.
        each: states that are saved a sample.
        kept_places: samples whose states are saved, those of the storage that are of no sequence among them.
    """

    number: Int[Tensor, " samples"]
    row: Int[Tensor, " samples"]
    place: Int[Tensor, " samples"]
    kept: Int[Tensor, " samples"]
    ends: Int[Tensor, " batch"]
    lengths: Int[Tensor, " batch"]
    time: int
    each: int
    kept_places: int

    @staticmethod
    def of(operands: Operands, program: Program) -> Rectangle:
        """That of a call with lengths; reads the longest back from the device."""
        index, lengths = operands.index, operands.lengths
        assert index is not None
        assert lengths is not None
        number, row = packed_samples(lengths)
        kept = torch.arange(len(index), device=index.device) if program.packed else index
        return Rectangle(
            *(number, row, index, kept, Storage(index, lengths).ends, lengths.int(), int(lengths[0])),
            each=program.substeps if program.method.family == "general-linear" else 1,
            kept_places=len(index) if program.packed else len(operands.samples),
        )

    def operands(self, given: Operands) -> Operands:
        """The operands of the rectangle, in which a sequence that has ended repeats its last sample."""
        dt = given.dt if given.dt.ndim == 0 else given.dt[self._table()].T.contiguous()
        return given._replace(samples=given.samples[self.place[self._table()]], dt=dt, index=None, lengths=self.lengths)

    def stored(self, saved: Float[Tensor, "states batch hidden"]) -> Float[Tensor, "places hidden"]:
        """States of the rectangle in the storage; zero where there is no sample."""
        parts = saved.unflatten(0, (self.time, self.each))[self.number, :, self.row]
        found = saved.new_zeros(self.kept_places, self.each, saved.shape[-1])
        found[self.kept] = parts
        return found.flatten(0, 1)

    def laid_out(self, saved: Float[Tensor, "places hidden"]) -> Float[Tensor, "states batch hidden"]:
        """The states of a storage in the rectangle."""
        parts = saved.unflatten(0, (self.kept_places, self.each))[self.kept[self._table()]]
        return parts.transpose(1, 2).flatten(0, 1)

    def gradient(self, by_saved: Float[Tensor, "places hidden"] | None) -> Float[Tensor, "states batch hidden"] | None:
        """A gradient by them, zero where a sequence has ended."""
        if by_saved is None:
            return None
        inside = torch.arange(self.time, device=by_saved.device).unsqueeze(1) < self.lengths
        return self.laid_out(by_saved) * inside.repeat_interleave(self.each, 0).unsqueeze(-1)

    def samples(
        self, gradient: Float[Tensor, "time batch input"], like: Float[Tensor, "places input"]
    ) -> Float[Tensor, "places input"]:
        """A gradient by the samples of the rectangle as one by those of the storage."""
        found = torch.zeros_like(like)
        found[self.place] = gradient[self.number, self.row]
        return found

    def _table(self) -> Int[Tensor, "time batch"]:
        """The sample, by its number in the index, at each place of the rectangle; beyond the end the last one."""
        table = self.ends.repeat(self.time, 1)
        table[self.number, self.row] = torch.arange(len(self.number), device=table.device)
        return table
