"""The pictures of a comparison under the same weights."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from math import isfinite

from matplotlib.axes import Axes

from benchmarks.compare.measure import Comparison
from benchmarks.compare.measured import Measured
from benchmarks.figures.moduli import Line, draw_by_solver
from benchmarks.figures.regions import draw_panels
from benchmarks.pages.document import Drawing
from benchmarks.support.plotting import clear_frame, log_ticks, new_figure, signs

FAR = 10.0
"""Distances from here on are drawn here: nothing of the flow is left."""

POINTS = 161
"""Points a side of the grid on which a stability region is drawn."""

MODULI = (1e-6, 1e3)
"""What is drawn of the moduli; those of schemes that diverge lie far outside."""


def drawings_of(comparison: Comparison) -> list[Drawing]:
    """All pictures of a comparison."""
    return [draw_work(comparison), draw_regions(comparison), draw_moduli(comparison)]


def draw_work(comparison: Comparison) -> Drawing:
    """The task's metric above and the distance to the flow below, against evaluations and against time."""
    metric = comparison.subject.objective.selector()
    figure = new_figure((12.0, 8.0))
    grid = figure.subplots(2, 2, sharex="col", sharey="row")
    works: tuple[Callable[[Measured], float], ...] = (
        lambda row: row.evaluations,
        lambda row: 1e3 * statistics.median(row.seconds),
    )
    for (name, rows), (colour, marker) in zip(_by_solver(comparison.rows).items(), signs(), strict=False):
        for column, work in enumerate(works):
            good = [row for row in rows if row.scores is not None]
            values = [metric.factor * row.scores[metric.name] for row in good if row.scores is not None]
            _mark(grid[0][column], [work(row) for row in good], values, colour, marker, name)
            far = [_distance(row) for row in rows]
            _mark(grid[1][column], [work(row) for row in rows], far, colour, marker, name)
    own = comparison.rows[0]
    for axes, work in zip(grid[0], works, strict=True):
        if own.scores is not None:
            _ring(axes, work(own), metric.factor * own.scores[metric.name])
    for axes, work in zip(grid[1], works, strict=True):
        _ring(axes, work(own), _distance(own))
        axes.set_yscale("log")
        axes.axhline(FAR, color="0.6", linewidth=0.8, linestyle=":")
    _label(grid, metric.label)
    figure.legend(*grid[1][0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize="small")
    figure.suptitle(
        f"{comparison.subject.run.title}: the same weights under every scheme (lines: more substeps; ring: the scheme "
        "that it was trained by;\ntop: schemes that diverge are missing; bottom: they lie on the dotted line)",
        x=0.01,
        ha="left",
        fontsize="medium",
    )
    return Drawing("work", f"{metric.title.capitalize()} and distance to the flow against evaluations and time", figure)


def draw_regions(comparison: Comparison) -> Drawing:
    """The stability region of each solver with the network's eigenvalues times its longest step."""
    solvers = {name: rows[0].scheme.solver for name, rows in _by_solver(comparison.rows).items()}
    fewest = min(row.scheme.substeps for row in comparison.rows)
    title = f"{comparison.subject.run.title}, {fewest} substep{'s' if fewest > 1 else ''} a sample"
    picture = draw_panels(solvers, comparison.reference.z / fewest, title, POINTS)
    return Drawing("regions", "Stability regions with the network's eigenvalues times the step", picture.figure)


def draw_moduli(comparison: Comparison) -> Drawing:
    """The moduli of the eigenvalues of the end-to-end Jacobian under each scheme."""
    length = comparison.reference.driven.x.shape[1]
    lines = [
        Line(row.scheme.label, [length], [row.dynamics.moduli.unsqueeze(0)], [row.dynamics.stretch or 0.0])
        for row in comparison.rows
        if row.dynamics.moduli is not None
    ]
    figure = draw_by_solver(lines, f"{comparison.subject.run.title}, the first sequence", MODULI).figure
    said = "What lies beyond the right edge belongs to schemes that diverge."
    return Drawing("moduli", "Moduli of the eigenvalues of the end-to-end Jacobian", figure, said)


def _distance(row: Measured) -> float:
    return min(row.dynamics.distance, FAR) if isfinite(row.dynamics.distance) else FAR


def _by_solver(rows: Sequence[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for row in sorted(rows, key=lambda row: row.scheme.substeps):
        found.setdefault(row.scheme.name, []).append(row)
    return {name: found[name] for name in dict.fromkeys(row.scheme.name for row in rows)}


def _mark(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, marker: str, label: str) -> None:
    axes.plot(x, y, color=colour, marker=marker, markersize=6, linewidth=0.9, alpha=0.9, label=label)


def _ring(axes: Axes, x: float, y: float) -> None:
    axes.plot([x], [y], marker="o", markersize=14, markerfacecolor="none", markeredgecolor="black", linestyle="")


def _label(grid: Sequence[Sequence[Axes]], metric: str) -> None:
    for axes in (*grid[0], *grid[1]):
        log_ticks(axes)
        clear_frame(axes)
    grid[0][0].set_ylabel(metric)
    grid[1][0].set_ylabel("distance to the flow, relative")
    grid[1][0].set_xlabel("evaluations of the field a sample")
    grid[1][1].set_xlabel("milliseconds a sequence")
