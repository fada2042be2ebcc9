"""Segments: the parts of sequences that are run in one go, between resets and truncations, and the cuts in time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from ..engines.problem import LARGEST_RECTANGLE, packed_samples
from .rows import Numbering, Rows

PIECE = 1024
"""What a piece more costs, as samples of a sequence that are computed in vain.

Measured with the native engine at 128 units: a call costs about a millisecond, forward and backward, in which it could
run so many samples.
"""


_Part = tuple[int, int, int, bool]
"""The sequence of a part, its first sample, its samples, and whether it starts afresh."""


@dataclass(frozen=True)
class Segments:
    """Parts of sequences, longest first.

    Attributes:
        parts: the sequence that each is a part of, and its first sample.
        row: the sequences, as a tensor.
        start: the first samples, likewise.
        lengths: its samples.
        fresh: whether each starts afresh, or from the state of its sequence.
    """

    parts: list[tuple[int, int]]
    row: Int[Tensor, " parts"]
    start: Int[Tensor, " parts"]
    lengths: list[int]
    fresh: list[bool]

    def alike(self) -> list[Segments]:
        """The same in groups of like lengths, whose rectangle is at most `LARGEST_RECTANGLE` times what is in it."""
        first, groups = 0, list[Segments]()
        while first < len(self.parts):
            least = self.lengths[first] / LARGEST_RECTANGLE
            some = slice(first, first + sum(length >= least for length in self.lengths[first:]))
            first = some.stop
            parts, lengths, fresh = self.parts[some], self.lengths[some], self.fresh[some]
            groups.append(Segments(parts, self.row[some], self.start[some], lengths, fresh))
        return groups

    def packed(
        self, place: Numbering, tables: Sequence[Float[Tensor, "time batch"]]
    ) -> tuple[Int[Tensor, " samples"], list[Float[Tensor, " samples"]]]:
        """The places of the first samples of all parts, then of the second ones, and so on; and entries of tables."""
        device, later = self.row.device, any(start for _, start in self.parts)
        if device.type == "cpu" and not tables and not later:  # in half the time; on a device a launch a length
            numbers = torch.arange(self.lengths[0]).unsqueeze(1)
            return pack_padded_sequence(place(numbers, self.row), self.lengths).data, []
        number, part = packed_samples(torch.tensor(self.lengths), device)
        number, row = number + self.start[part] if later else number, self.row[part]
        return place(number, row), [table[number, row] for table in tables]


def segments_of(rows: Rows, truncate: int | None, *, together: bool) -> Iterator[list[Segments]]:
    """The segments of a batch; those of one list follow those of the list before, and are otherwise independent.

    Args:
        rows: the sequences.
        truncate: samples after which a segment ends, or None.
        together: whether those that start afresh may be run with the others. Otherwise they come in a group of their
            own, after the others.
    """
    device = rows.device
    if rows.resets is None and truncate is None:
        parts = [(b, 0, length, False) for b, length in enumerate(rows.read()) if length]
        yield [_longest_first(parts, device)] if parts else []
        return
    table = _table(rows, truncate)
    chunks = [0 if truncate is None else start // truncate for _, start, _, _ in table]
    for chunk in range(max(chunks, default=-1) + 1):
        parts = [part for part, each in zip(table, chunks, strict=True) if each == chunk]
        groups = [parts] if together else [[part for part in parts if part[-1] == fresh] for fresh in (False, True)]
        yield [_longest_first(group, device) for group in groups if group]


def cuts(lengths: Sequence[int], *, everywhere: bool) -> list[int]:
    """The ends of the pieces of time in which segments of these lengths, longest first, are run.

    A segment that ends within a piece is run to the end of it, and the rest is thrown away. A cut comes where that
    would cost more than a piece.

    Args:
        lengths: of the segments.
        everywhere: cut at every length.
    """
    ends = sorted(set(lengths))
    if everywhere:
        return ends
    found, waiting, wasted = [], 0, 0
    ascending = sorted(lengths)
    for end, after in pairwise(ends):
        waiting = bisect_right(ascending, end) - (bisect_right(ascending, found[-1]) if found else 0)
        wasted += waiting * (after - end)
        if wasted > PIECE:
            found.append(end)
            wasted = 0
    return [*found, ends[-1]]


@dataclass(frozen=True)
class Piece:
    """A piece of time of segments that run side by side.

    Attributes:
        group: all of them.
        first: its first sample, counted from the start of each segment.
        last: the sample after its last.
        count: those of the segments, longest first, that have not ended before it.
    """

    group: Segments
    first: int
    last: int
    count: int

    @property
    def row(self) -> Int[Tensor, " parts"]:
        """The sequence of each segment."""
        return self.group.row[: self.count]

    @property
    def lengths(self) -> list[int]:
        """The samples of each segment from the first of the piece on."""
        return [length - self.first for length in self.group.lengths[: self.count]]

    @property
    def time(self) -> int:
        """Samples of the piece."""
        return self.last - self.first

    @property
    def going_on(self) -> int:
        """How many segments go on after it."""
        return sum(length > self.time for length in self.lengths)

    @property
    def is_full(self) -> bool:
        """Whether no segment ends within it, but with it at the earliest."""
        return self.lengths[-1] >= self.time

    def inside(self) -> Bool[Tensor, "time parts"]:
        """Where there is a sample of a segment."""
        device = self.row.device
        return torch.arange(self.time, device=device).unsqueeze(1) < torch.tensor(self.lengths, device=device)

    def samples(self) -> Int[Tensor, "time parts"]:
        """The numbers of its samples in their sequences; beyond the end of a segment that of its last one."""
        start, device = self.group.start[: self.count], self.row.device
        ends = start + torch.tensor(self.group.lengths[: self.count], device=device) - 1
        return torch.minimum(start + torch.arange(self.first, self.last, device=device).unsqueeze(1), ends)


def _table(rows: Rows, truncate: int | None) -> list[_Part]:
    """The parts of every sequence, in the order of sequence and time."""
    numbers = torch.arange(rows.longest, device=rows.device).unsqueeze(1)
    samples = rows.read()
    lengths = torch.tensor(samples, device=rows.device)
    resets = torch.zeros_like(numbers < lengths) if rows.resets is None else rows.resets
    begins = (resets | (numbers % (truncate or len(numbers)) == 0)) & (numbers < lengths)
    row, start = begins.T.nonzero(as_tuple=True)
    starts: list[tuple[int, int]] = torch.stack((row, start), dim=1).tolist()
    nexts = [*starts[1:], (-1, 0)]
    ends = [after if following == b else samples[b] for (b, _), (following, after) in zip(starts, nexts, strict=True)]
    fresh: list[bool] = resets[start, row].tolist()
    return [(b, n, end - n, new) for (b, n), end, new in zip(starts, ends, fresh, strict=True)]


def _longest_first(parts: Sequence[_Part], device: torch.device) -> Segments:
    row, start, lengths, fresh = zip(*sorted(parts, key=lambda part: -part[2]), strict=True)
    return Segments(
        list(zip(row, start, strict=True)),
        torch.tensor(row, device=device),
        torch.tensor(start, device=device),
        list(lengths),
        list(fresh),
    )
