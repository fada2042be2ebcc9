"""Learning curves as PNG: the loss in training and the selecting metric on validation, epoch by epoch."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmarks.report.result import EpochMetrics, RunResult
from benchmarks.support.plotting import clear_frame, new_figure, styles, to_png

SIZE = (11.0, 4.4)


def draw_curves(task: str, groups: Sequence[Sequence[RunResult]]) -> bytes:
    """A PNG with a line for each group of runs, the mean over its seeds, and a band from the lowest to the highest."""
    figure = new_figure(SIZE)
    loss, quality = figure.subplots(1, 2)
    objective = groups[0][0].objective_class
    metric = objective.selector()
    for group, (colour, dash) in zip(groups, styles(), strict=False):
        _draw(loss, group, lambda row: row.train["loss"], colour, dash)
        _draw(quality, group, lambda row: metric.factor * row.val[metric.name], colour, dash)
    _label(loss, f"training loss ({objective.loss_title})")
    loss.set_yscale("log")
    _label(quality, f"validation {metric.label}")
    if metric.better == "min":
        quality.set_yscale("log")
    handles, labels = quality.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    figure.suptitle(f"{task}: mean over seeds, band from lowest to highest", x=0.01, ha="left", fontsize="medium")
    return to_png(figure)


def _draw(
    axes: Axes, group: Sequence[RunResult], value: Callable[[EpochMetrics], float], colour: str, dash: str
) -> None:
    # Only epochs that every seed has reached: a run that diverged has fewer.
    columns = list(zip(*([value(row) for row in result.history] for result in group), strict=False))
    epochs = range(1, len(columns) + 1)
    means = [statistics.fmean(column) for column in columns]
    marker = "o" if len(columns) == 1 else ""
    axes.plot(epochs, means, color=colour, linestyle=dash, marker=marker, label=group[0].method, linewidth=1.6)
    if len(group) > 1:
        axes.fill_between(epochs, [*map(min, columns)], [*map(max, columns)], color=colour, alpha=0.15, linewidth=0)


def _label(axes: Axes, quantity: str) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel(quantity)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    clear_frame(axes)
