"""What objectives with one label of several have in common."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.objectives.metric import Metric
from benchmarks.objectives.objective import Objective, ReadFrom

ACCURACY = Metric("accuracy", "accuracy", "%", "max", factor=100, style=".2f", table_style=".1f")


@dataclass(frozen=True)
class LabelObjective(Objective):
    """One of several classes, for a sample or for each of its steps. Abstract.

    Targets are labels from 0, Int64[Tensor, "batch"], or Int64[Tensor, "batch time"] where the trajectory is read.

    Attributes:
        num_classes: how many.
        class_names: what people call them; None where numbers say it.
    """

    num_classes: int
    read_from: ReadFrom = "end"
    class_names: tuple[str, ...] | None = None

    @property
    def output_size(self) -> int:
        return self.num_classes


def cross_entropy(output: Float[Tensor, "*items classes"], target: Int64[Tensor, "*items"]) -> Float[Tensor, "*items"]:
    """The cross-entropy of each item, in nats."""
    return F.cross_entropy(output.flatten(0, -2), target.flatten(), reduction="none").view_as(target)


def right_answers(output: Float[Tensor, "*items classes"], target: Int64[Tensor, "*items"]) -> Float[Tensor, "*items"]:
    """1 where the largest number is that of the target, else 0."""
    return (output.detach().argmax(-1) == target).to(output.dtype)
