"""The picture of the suite: accuracy against level, a panel a perturbation."""

from __future__ import annotations

from matplotlib.axes import Axes

from benchmarks.objectives.classification import ACCURACY
from benchmarks.pages.document import Drawing
from benchmarks.robustness.measure import Robustness, Row
from benchmarks.robustness.suite import Perturbation
from benchmarks.support.plotting import COLOURS, DASHES, MARKERS, clear_frame, new_figure


def draw_levels(found: Robustness) -> Drawing:
    """A colour and a marker for each network, a dash for each of its schemes."""
    kinds = list(found.suite.perturbations.values())
    figure = new_figure((3.2 * len(kinds), 4.6))
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    runs = list(dict.fromkeys(row.trained.label for row in found.rows))
    for axes, perturbation in zip(panels, kinds, strict=True):
        for run_index, run in enumerate(runs):
            for scheme_index, row in enumerate(row for row in found.rows if row.trained.label == run):
                _draw(axes, row, perturbation, run_index, scheme_index)
        axes.set_title(perturbation.kind, fontsize="medium")
        axes.set_xlabel(perturbation.symbol)
        axes.set_ylim(-2, 102)
        clear_frame(axes)
    panels[0].set_ylabel(f"test {ACCURACY.label}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, min(4, len(runs))), frameon=False)
    title = "Accuracy against the level of each perturbation (solid: the scheme that the network was trained by)"
    return Drawing("levels", title, figure)


def _draw(axes: Axes, row: Row, perturbation: Perturbation, run: int, scheme: int) -> None:
    values = [ACCURACY.factor * value for value in (row.clean, *row.means(perturbation.kind))]
    axes.plot(
        [0.0, *perturbation.levels],
        values,
        color=COLOURS[run % len(COLOURS)],
        marker=MARKERS[run % len(MARKERS)],
        linestyle=DASHES[scheme % len(DASHES)],
        markersize=4,
        linewidth=1.3,
        label=f"{row.trained.label}, {row.scheme}",
    )
