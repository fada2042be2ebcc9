"""The table of a comparison under the same weights: its columns, what they mean, and its cells."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from benchmarks.compare.measure import Comparison
from benchmarks.compare.measured import Measured
from benchmarks.objectives import Objective
from benchmarks.pages.document import NONE, Cell, Column, Table, number, whole, words

UNRESOLVED = 1e15
"""A condition number from here on is the rounding of the smallest singular value."""

DIVERGED = "diverged"
OWN = "own"


@dataclass(frozen=True)
class _Shown:
    """A column and how its cell is made."""

    column: Column
    cell: Callable[[Measured], Cell]


def table_of(comparison: Comparison) -> Table:
    """The table, without columns that nothing in it has."""
    shown = [
        *_names(),
        *_quality(comparison.subject.objective),
        *_work(),
        *_dynamics(),
        *(_energy() if comparison.reference.held is not None else ()),
    ]
    rows = [[each.cell(row) for each in shown] for row in comparison.rows]
    return Table("schemes", [each.column for each in shown], rows)


def _names() -> list[_Shown]:
    return [
        _Shown(
            Column(
                "scheme",
                "scheme",
                "A solver of the registry, and how many of its steps fill a sample.",
                left=True,
                brief="scheme",
            ),
            lambda row: words(row.scheme.label),
        ),
        _Shown(
            Column("trained_by", "trained by", "The scheme that the network was trained by.", left=True),
            lambda row: words(OWN if row.scheme.own else ""),
        ),
        _Shown(Column("family", "family", left=True), lambda row: words(row.scheme.solver.family)),
        _Shown(Column("order", "order"), lambda row: whole(row.scheme.solver.order)),
        _Shown(
            Column("substeps", "substeps", "Steps from one sample to the next."),
            lambda row: whole(row.scheme.substeps),
        ),
    ]


def _quality(objective: Objective) -> list[_Shown]:
    def score(name: str, factor: float, style: str) -> Callable[[Measured], Cell]:
        return lambda row: number(
            None if row.scores is None else factor * row.scores[name], style, NONE if row.scores else DIVERGED
        )

    metrics = [
        _Shown(Column(metric.name, metric.label, brief=metric.label), score(metric.name, metric.factor, metric.style))
        for metric in objective.metrics
    ]
    loss = Column("loss", "loss", f"The {objective.loss_title}.")
    return [*metrics, _Shown(loss, score("loss", 1.0, ".4g"))]


def _work() -> list[_Shown]:
    return [
        _Shown(
            Column(
                "evaluations",
                "evaluations a sample",
                "Evaluations of the field from one sample to the next; where a scheme iterates they are counted.",
                brief="evals",
            ),
            lambda row: number(row.evaluations, ".4g"),
        ),
        _Shown(
            Column(
                "milliseconds",
                "ms a sequence",
                "The median of the repeats, all schemes in turn: a forward pass to the last state.",
                brief="ms",
            ),
            lambda row: _milliseconds(statistics.median(row.seconds)),
        ),
        _Shown(
            Column("milliseconds_lowest", "lowest", "The shortest of the repeats, ms a sequence."),
            lambda row: _milliseconds(min(row.seconds)),
        ),
        _Shown(
            Column("milliseconds_highest", "highest", "The longest of the repeats, ms a sequence."),
            lambda row: _milliseconds(max(row.seconds)),
        ),
        _Shown(Column("engine", "engine", "What executes it.", left=True), lambda row: words(row.engine)),
    ]


def _dynamics() -> list[_Shown]:
    return [
        _Shown(
            Column(
                "distance",
                "distance to the flow",
                "Of the states at all samples to those of the reference, root mean square over sequences, samples and "
                "units, relative to the reference's. Float64.",
                brief="distance",
            ),
            lambda row: number(row.dynamics.distance, ".2g", DIVERGED),
        ),
        _Shown(
            Column(
                "inside",
                "inside the region (%)",
                "Of the eigenvalues of df/dy along the network's own trajectory, times the step: how many have "
                "|R(z)| ≤ 1. Of an exponential method R is that of its linear part.",
                brief="inside %",
            ),
            lambda row: number(100 * row.dynamics.inside, ".1f"),
        ),
        _Shown(
            Column("growth", "largest |R(z)|", "By how much one step multiplies the fastest mode."),
            lambda row: number(row.dynamics.growth, ".4g"),
        ),
        _Shown(
            Column(
                "condition",
                "condition",
                "Of the end-to-end Jacobian, the derivative of the last state by the first, of the first sequence: the "
                "largest singular value over the smallest. 1 would keep every direction's length.",
                brief="condition",
            ),
            lambda row: _condition(row.dynamics.condition),
        ),
        _Shown(
            Column(
                "stretch",
                "largest stretch",
                "Its largest singular value: how much a small change can grow.",
            ),
            lambda row: number(row.dynamics.stretch, ".2g", DIVERGED),
        ),
    ]


def _energy() -> list[_Shown]:
    drift = Column(
        "energy_drift",
        "energy drift",
        "Under a constant input: how far the energy is off that of the flow, the largest along the way, relative "
        "to the first.",
        brief="drift",
    )
    return [_Shown(drift, lambda row: number(row.dynamics.drift, ".2g", DIVERGED))]


def _milliseconds(seconds: float) -> Cell:
    return number(1e3 * seconds, ".3g" if seconds < 1 else ",.0f")


def _condition(value: float | None) -> Cell:
    if value is None or not isfinite(value):
        return number(None, "", DIVERGED)
    return Cell(value, f"{value:.2g}" if value < UNRESOLVED else f"> {UNRESOLVED:.0e}")
