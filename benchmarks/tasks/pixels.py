"""What the tasks have in common that classify an image after reading it pixel by pixel."""

from __future__ import annotations

from jaxtyping import Int64
from torch import Tensor

from benchmarks.objectives import Classification
from benchmarks.tasks.images import ImageSequences
from benchmarks.tasks.samples import FirstSamples, Samples
from benchmarks.tasks.task import Task


def sequences_of_test(task: Task) -> ImageSequences | None:
    """The whole test part of a task whose data have been read; None where it does not classify images, pixel by pixel.

    A limit on the samples is taken off.
    """
    samples: Samples = task.splits.test
    while isinstance(samples, FirstSamples):
        samples = samples.samples
    objective = task.objective
    reads_end = isinstance(objective, Classification) and objective.read_from == "end"
    return samples if isinstance(samples, ImageSequences) and reads_end else None


def pixel_order(task: Task) -> Int64[Tensor, " time"] | None:
    """Step t reads pixel order[t] of the scanline; None for a task that reads pixel t."""
    order = getattr(task, "order", None)
    return order if isinstance(order, Tensor) else None
