"""How often each contender is timed, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MOST = 50
LEAST = 5
LEAST_OF_LONG = 3
LONG = 1.0  # seconds of a repetition from which LEAST_OF_LONG will do
TOO_LONG = 10.0  # seconds of a repetition from which one will do


def repetitions(seconds: float, budget: float) -> int:
    """How many repetitions fit a budget of seconds: at least five, three of long ones, one of the longest."""
    if seconds >= TOO_LONG:
        return 1
    least = LEAST if seconds < LONG else LEAST_OF_LONG
    return min(MOST, max(least, int(budget / max(seconds, 1e-9))))


def interleaved(counts: Sequence[int]) -> Iterator[Sequence[int]]:
    """The rounds: in each, the indices of those that take part, once each.

    Number i takes part counts[i] times, spread evenly from the first round to the last.
    """
    total = max(counts, default=0)
    for turn in range(total):
        yield [i for i, count in enumerate(counts) if (turn + 1) * count // total > turn * count // total]
