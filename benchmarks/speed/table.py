"""What was measured as Markdown: a table for each case, and that of the targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from benchmarks.speed.case import Case
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.targets import TARGETS, Target, Values, values_of
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
TARGETS_HEAD = ("bar", "measured", "at most", "verdict")
LEFT = ("contender", "remarks", "bar", "verdict")


def suite_tables(measurements: Sequence[Measurement], peak: float) -> str:
    """The tables of one suite, one beneath the other.

    Args:
        measurements: of one suite, those of a case together.
        peak: operations a second at most.
    """
    by_case = [(case, list(group)) for case, group in groupby(measurements, key=lambda measurement: measurement.case)]
    return "\n\n".join(f"### {case.title}\n\n{_case_table(case, group, peak)}" for case, group in by_case)


def targets_table(measurements: Sequence[Measurement], targets: Sequence[Target] = TARGETS) -> str:
    """Each bar with what was measured, and whether it is met."""
    values = values_of(measurements)
    return markdown_table(TARGETS_HEAD, [_target_row(target, values) for target in targets], LEFT)


def best_peer(measurements: Sequence[Measurement]) -> float | None:
    """The median of the fastest peer that computes the same function, of one case."""
    return min((one.median for one in measurements if one.kind == "peer" and one.median is not None), default=None)


def limit(measurement: Measurement, peak: float) -> float:
    """The seconds in which the machine at its best would do the case's matrix products."""
    return measurement.flops / peak


def _case_table(case: Case, measurements: Sequence[Measurement], peak: float) -> str:
    if case.work == "memory":
        return markdown_table(MEMORY_HEAD, [_memory_row(measurement) for measurement in measurements], LEFT)
    rival = next((one.median for one in measurements if one.contender == RIVAL), None)
    peer, least = best_peer(measurements), limit(measurements[0], peak)
    rows = [_row(measurement, rival, peer, least) for measurement in measurements]
    rows.append(_row(_as_measurement(measurements[0], least), rival, peer, least))
    return markdown_table(HEAD, rows, LEFT)


def _as_measurement(like: Measurement, seconds: float) -> Measurement:
    return Measurement(
        like.suite, like.case, "limit", "arithmetic", (seconds,), note="computed: operations over the peak"
    )


def _row(measurement: Measurement, rival: float | None, peer: float | None, least: float) -> list[str]:
    median = measurement.median
    if median is None:
        return [measurement.contender, *[NONE] * (len(HEAD) - 2), _remarks(measurement)]
    same_work = measurement.kind != "another function"
    return [
        measurement.contender,
        *map(milliseconds, (median, min(measurement.seconds), max(measurement.seconds))),
        str(len(measurement.seconds)) if measurement.contender != "limit" else NONE,
        f"{1e6 * median / measurement.case.shape.time:.3g}",
        *(_ratio(median, other) for other in (rival, peer)),
        f"{least / median:.1%}" if same_work else NONE,
        _remarks(measurement),
    ]


def _memory_row(measurement: Measurement) -> list[str]:
    if measurement.bytes is None:
        return [measurement.contender, NONE, NONE, _remarks(measurement)]
    relative = measurement.bytes / measurement.case.shape.trajectory_bytes
    return [measurement.contender, f"{measurement.bytes / 1e6:.1f} MB", f"{relative:.3f}", _remarks(measurement)]


def _remarks(measurement: Measurement) -> str:
    kind = "another function" if measurement.kind == "another function" else ""
    return "; ".join(part for part in (kind, measurement.note) if part)


def _target_row(target: Target, values: Values) -> list[str]:
    show: Callable[[float], str] = _microseconds if target.meaning == "microseconds more" else _number
    measured = target.measured(values)
    return [target.claim, NONE if measured is None else show(measured), show(target.at_most), target.verdict(values)]


def milliseconds(seconds: float) -> str:
    """A time in milliseconds, to three digits."""
    value = 1e3 * seconds
    return f"{value:.3g} ms" if value < 999.5 else f"{value:,.0f} ms"


def describe(measurement: Measurement) -> str:
    """An outcome in a line, as it is shown while others are still measured."""
    if measurement.bytes is not None:
        found = f"{measurement.bytes / 1e6:.1f} MB"
    else:
        found = NONE if measurement.median is None else milliseconds(measurement.median)
    said = f"{measurement.suite}: {measurement.case.title}: {measurement.contender}: {found} {_remarks(measurement)}"
    return said.rstrip()


def _ratio(value: float, other: float | None) -> str:
    return NONE if other is None else _number(value / other)


def _number(value: float) -> str:
    return f"{value:.3g}"


def _microseconds(value: float) -> str:
    return f"{value:.1f} µs more"
