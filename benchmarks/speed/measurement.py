"""What came out of one contender on one case."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.speed.case import Case
from benchmarks.speed.contender import Kind


class Point(NamedTuple):
    """Where a measurement stands: the suite that measured it, the case and the contender."""

    suite: str
    case: Case
    contender: str


@dataclass(frozen=True)
class Measurement:
    """What came out, or why nothing did.

    Attributes:
        suite: the suite that measured it.
        case: what was measured.
        contender: who.
        kind: what sort of contender.
        seconds: of every repetition, in their order; empty where nothing was timed.
        bytes: the peak resident memory, in the suite `memory`.
        flops: the least operations of the case's matrix products.
        error: the largest error against the reference, relative; None where it was not compared.
        note: why nothing was measured, or what a reader should know.
    """

    suite: str
    case: Case
    contender: str
    kind: Kind
    seconds: Sequence[float] = ()
    bytes: int | None = None
    flops: int = 0
    error: float | None = None
    note: str = ""

    @property
    def point(self) -> Point:
        """Where it stands."""
        return Point(self.suite, self.case, self.contender)

    @property
    def median(self) -> float | None:
        """The median of the seconds."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def value(self) -> float | None:
        """Seconds a step, or bytes: what a target compares."""
        if self.bytes is not None:
            return float(self.bytes)
        return None if self.median is None else self.median / self.case.shape.time
