"""What was measured as pictures: time against length, microseconds a step, and the fraction of the limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from benchmarks.speed.case import Case
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.table import limit
from benchmarks.support.plotting import COLOURS, clear_frame, new_figure, styles, to_png

Size = Callable[[Case], int]

AXES: dict[str, tuple[str, Size]] = {
    "length": ("samples in the sequence, T", lambda case: case.shape.time),
    "batch": ("sequences in the batch, B", lambda case: case.shape.batch),
    "units": ("units of the state, N", lambda case: case.shape.units),
}


def draw_pictures(measurements: Sequence[Measurement], peak: float) -> dict[str, bytes]:
    """The pictures for which something was measured, as PNGs by the last part of their names."""
    timed = [one for one in measurements if one.median is not None]
    swept = {suite: [one for one in timed if one.suite == suite] for suite in AXES}
    swept["length"] = _of_one_batch(swept["length"])
    pictures = {}
    if swept["length"]:
        pictures["time"] = _draw_sweeps({"length": swept["length"]}, "time (ms)", _milliseconds)
    if any(swept.values()):
        there = {suite: group for suite, group in swept.items() if group}
        pictures["step"] = _draw_sweeps(there, "a step (µs)", _microseconds_a_step)
    reference = [one for one in timed if one.suite == "reference" and one.case.work == "training"]
    if reference:
        pictures["limit"] = _draw_limit([one for one in reference if one.kind != "another function"], peak)
    return pictures


def _of_one_batch(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The measurements with the smallest batch of several, which all contenders have."""
    batch = min((one.case.shape.batch for one in measurements), default=0)
    return [one for one in measurements if one.case.shape.batch == batch]


def _draw_sweeps(sweeps: dict[str, list[Measurement]], quantity: str, value: Callable[[Measurement], float]) -> bytes:
    figure = new_figure((1.5 + 4.5 * len(sweeps), 4.4))
    for axes, (suite, measurements) in zip(
        figure.subplots(1, len(sweeps), squeeze=False)[0], sweeps.items(), strict=True
    ):
        label, size = AXES[suite]
        _draw_lines(axes, measurements, size, value)
        axes.set_xlabel(label)
        axes.set_ylabel(f"forward + backward, {quantity}")
    # Each contender once, though a panel may lack it.
    lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(lines.values(), [str(label) for label in lines], loc="outside right upper", frameon=False)
    return to_png(figure)


def _draw_lines(
    axes: Axes, measurements: Sequence[Measurement], size: Size, value: Callable[[Measurement], float]
) -> None:
    names = list(dict.fromkeys(one.contender for one in measurements))
    for name, (colour, dash) in zip(names, styles(), strict=False):
        points = sorted((size(one.case), value(one)) for one in measurements if one.contender == name)
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=dash, marker="o", markersize=4, label=name)
    sizes = sorted({size(one.case) for one in measurements})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{one:,}" for one in sizes])
    clear_frame(axes)


def _draw_limit(measurements: Sequence[Measurement], peak: float) -> bytes:
    """A group of bars for each shape, a bar for each contender."""
    cases = list(dict.fromkeys(one.case for one in measurements))
    names = list(dict.fromkeys(one.contender for one in measurements))
    fractions = {(one.case, one.contender): 100 * limit(one, peak) / (one.median or np.inf) for one in measurements}
    figure = new_figure((9.0, 1.5 + 0.17 * len(cases) * len(names)))
    axes = figure.subplots()
    height = 0.9 / len(names)
    for index, name in enumerate(names):
        rows = [place + index * height for place in range(len(cases))]
        widths = [fractions.get((case, name), 0.0) for case in cases]
        hatch = "//" if index >= len(COLOURS) else None
        axes.barh(rows, widths, height, label=name, color=COLOURS[index % len(COLOURS)], hatch=hatch, edgecolor="white")
    axes.set_yticks([place + 0.45 for place in range(len(cases))], [str(case.shape) for case in cases])
    axes.invert_yaxis()
    axes.set_xlabel("of the arithmetic limit (%), forward + backward; (T, batch, units, inputs)")
    clear_frame(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return to_png(figure)


def _milliseconds(measurement: Measurement) -> float:
    return 1e3 * (measurement.median or 0.0)


def _microseconds_a_step(measurement: Measurement) -> float:
    return 1e3 * _milliseconds(measurement) / measurement.case.shape.time
