"""A batch of a task as a person would look at it: the images that it was made of, and the sequences themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from benchmarks.objectives import Batch, LabelObjective, Objective
from benchmarks.support.plotting import clear_frame, new_figure, to_png
from benchmarks.tasks import Task

WIDTH = 11.0
ROW = 1.6  # inches a sample
# A sequence of so many inputs is drawn as lines of these colours, red, green and blue for pixels; of more, as a map.
LINES = {1: ("black",), 2: ("#0072B2", "#D55E00"), 3: ("#D62728", "#2CA02C", "#1F77B4")}
# How the ends of lines and sentences are written.
SHOWN_AS = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "<eos>": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"}


def draw_batch(title: str, task: Task, batch: Batch) -> bytes:
    """A PNG with a line for each sample: its image where the task has images, its sequence, its target."""
    count = len(batch.x)
    figure = new_figure((WIDTH, ROW * count + 0.6))
    images = task.rebuild(batch.x)
    read, wanted = (task.spell(tokens) for tokens in (batch.x.argmax(2), batch.target))
    ratios = [9.0] if images is None else [1.2, 9.0]
    grid = figure.subplots(count, len(ratios), squeeze=False, sharex="col", gridspec_kw={"width_ratios": ratios})
    for index, axes in enumerate(grid):
        if images is not None:
            _draw_image(axes[0], images[index])
        if read is not None and wanted is not None:
            _draw_text(axes[-1], read[index], wanted[index])
            continue
        _draw_sequence(axes[-1], batch.x[index])
        _draw_target(axes[-1], task.objective, batch.target[index], None if batch.mask is None else batch.mask[index])
    grid[-1][-1].set_xlabel("step")
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    return to_png(figure)


def _draw_image(axes: Axes, image: Tensor) -> None:
    axes.imshow(image.numpy(), cmap="gray_r" if image.dim() == 2 else None, vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()


def _draw_sequence(axes: Axes, x: Tensor) -> None:
    if x.shape[1] not in LINES:
        _draw_map(axes, x)
        return
    for channel, colour in zip(x.T, LINES[x.shape[1]], strict=True):
        axes.plot(channel.numpy(), color=colour, linewidth=0.7)
    clear_frame(axes)


def _draw_text(axes: Axes, read: Sequence[str], wanted: Sequence[str]) -> None:
    """What is read at each step, and beneath it in red what is wanted."""
    size = min(9.0, 800 / len(read))
    for height, color, symbols in ((0.65, "black", read), (0.3, "red", wanted)):
        for step, symbol in enumerate(symbols):
            shown = SHOWN_AS.get(symbol, symbol)
            axes.text(step, height, shown, color=color, fontsize=size, ha="center", va="center", parse_math=False)
    axes.set_xlim(-1, len(read))
    axes.set_yticks([])
    axes.set_title("red: target", fontsize="small", loc="right", pad=2, color="red")
    clear_frame(axes)


def _draw_map(axes: Axes, x: Tensor) -> None:
    axes.imshow(x.T.numpy(), aspect="auto", cmap="viridis", interpolation="nearest")
    axes.set_ylabel("input")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))


def _draw_target(axes: Axes, objective: Objective, target: Tensor, mask: Tensor | None) -> None:
    if objective.read_from == "end":
        axes.set_title(f"target: {_said(objective, target)}", fontsize="small", loc="right", pad=2)
        return
    counted = torch.arange(len(target)) if mask is None else mask.nonzero().flatten()
    axes.plot(counted, target[counted], "rx", markersize=4)
    axes.set_title("x: target", fontsize="small", loc="right", pad=2, color="red")


def _said(objective: Objective, target: Tensor) -> str:
    if isinstance(objective, LabelObjective):
        label = int(target)
        return str(label) if objective.class_names is None else objective.class_names[label]
    return ", ".join(f"{value:.4g}" for value in target.flatten().tolist())
