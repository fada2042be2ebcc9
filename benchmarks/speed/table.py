"""What was measured as Markdown: a table for each case, and that of the bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from benchmarks.speed.bars import BARS, Bar, Values, values_of
from benchmarks.speed.case import Case
from benchmarks.speed.outcome import Outcome
from benchmarks.support.markdown import markdown_table

NONE = "–"
RIVAL = "nn.RNN"
HEAD = (
    "contender",
    "median",
    "lowest",
    "highest",
    "n",
    "µs a step",
    "/ nn.RNN",
    "/ best peer",
    "of the limit",
    "remarks",
)
MEMORY_HEAD = ("contender", "peak", "/ trajectory", "remarks")
BARS_HEAD = ("bar", "measured", "at most", "verdict")
LEFT = ("contender", "remarks", "bar", "verdict")


def suite_tables(outcomes: Sequence[Outcome], peak: float) -> str:
    """The tables of one suite, one beneath the other.

    Args:
        outcomes: of one suite, those of a case together.
        peak: operations a second at most.
    """
    by_case = [(case, list(group)) for case, group in groupby(outcomes, key=lambda outcome: outcome.case)]
    return "\n\n".join(f"### {case.title}\n\n{_case_table(case, group, peak)}" for case, group in by_case)


def bars_table(outcomes: Sequence[Outcome], bars: Sequence[Bar] = BARS) -> str:
    """Each bar with what was measured, and whether it is met."""
    values = values_of(outcomes)
    return markdown_table(BARS_HEAD, [_bar_row(bar, values) for bar in bars], LEFT)


def best_peer(outcomes: Sequence[Outcome]) -> float | None:
    """The median of the fastest peer that computes the same function, of one case."""
    return min((one.median for one in outcomes if one.kind == "peer" and one.median is not None), default=None)


def limit(outcome: Outcome, peak: float) -> float:
    """The seconds in which the machine at its best would do the case's matrix products."""
    return outcome.flops / peak


def _case_table(case: Case, outcomes: Sequence[Outcome], peak: float) -> str:
    if case.work == "memory":
        return markdown_table(MEMORY_HEAD, [_memory_row(outcome) for outcome in outcomes], LEFT)
    rival = next((one.median for one in outcomes if one.contender == RIVAL), None)
    peer, least = best_peer(outcomes), limit(outcomes[0], peak)
    rows = [_row(outcome, rival, peer, least) for outcome in outcomes]
    rows.append(_row(_as_outcome(outcomes[0], least), rival, peer, least))
    return markdown_table(HEAD, rows, LEFT)


def _as_outcome(like: Outcome, seconds: float) -> Outcome:
    return Outcome(like.suite, like.case, "limit", "arithmetic", (seconds,), note="computed: operations over the peak")


def _row(outcome: Outcome, rival: float | None, peer: float | None, least: float) -> list[str]:
    median = outcome.median
    if median is None:
        return [outcome.contender, *[NONE] * (len(HEAD) - 2), _remarks(outcome)]
    same_work = outcome.kind != "another function"
    return [
        outcome.contender,
        *map(milliseconds, (median, min(outcome.seconds), max(outcome.seconds))),
        str(len(outcome.seconds)) if outcome.contender != "limit" else NONE,
        f"{1e6 * median / outcome.case.shape.time:.3g}",
        *(_ratio(median, other) for other in (rival, peer)),
        f"{least / median:.1%}" if same_work else NONE,
        _remarks(outcome),
    ]


def _memory_row(outcome: Outcome) -> list[str]:
    if outcome.bytes is None:
        return [outcome.contender, NONE, NONE, _remarks(outcome)]
    relative = outcome.bytes / outcome.case.shape.trajectory_bytes
    return [outcome.contender, f"{outcome.bytes / 1e6:.1f} MB", f"{relative:.3f}", _remarks(outcome)]


def _remarks(outcome: Outcome) -> str:
    kind = "another function" if outcome.kind == "another function" else ""
    return "; ".join(part for part in (kind, outcome.note) if part)


def _bar_row(bar: Bar, values: Values) -> list[str]:
    show: Callable[[float], str] = _microseconds if bar.meaning == "microseconds more" else _number
    measured = bar.measured(values)
    return [bar.claim, NONE if measured is None else show(measured), show(bar.at_most), bar.verdict(values)]


def milliseconds(seconds: float) -> str:
    """A time in milliseconds, to three digits."""
    value = 1e3 * seconds
    return f"{value:.3g} ms" if value < 999.5 else f"{value:,.0f} ms"


def describe(outcome: Outcome) -> str:
    """An outcome in a line, as it is shown while others are still measured."""
    if outcome.bytes is not None:
        found = f"{outcome.bytes / 1e6:.1f} MB"
    else:
        found = NONE if outcome.median is None else milliseconds(outcome.median)
    return f"{outcome.suite}: {outcome.case.title}: {outcome.contender}: {found} {_remarks(outcome)}".rstrip()


def _ratio(value: float, other: float | None) -> str:
    return NONE if other is None else _number(value / other)


def _number(value: float) -> str:
    return f"{value:.3g}"


def _microseconds(value: float) -> str:
    return f"{value:.1f} µs more"
