"""One of several classes, for a sample or for each of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.objectives.metric import Metric
from benchmarks.objectives.objective import Objective, ReadFrom

ACCURACY = Metric("accuracy", "accuracy", "%", "max", factor=100, style=".2f", table_style=".1f")


@final
@dataclass(frozen=True)
class Classification(Objective):
    """Cross-entropy (natural logarithm) and accuracy over `num_classes` logits.

    Targets are labels from 0, Int64[Tensor, "batch"], or Int64[Tensor, "batch time"] where the trajectory is read.

    Attributes:
        class_names: what people call the classes; None where numbers say it.
    """

    num_classes: int
    read_from: ReadFrom = "end"
    class_names: tuple[str, ...] | None = None

    name: ClassVar[str] = "classification"
    loss_title: ClassVar[str] = "cross-entropy"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY,)

    @property
    def output_size(self) -> int:
        return self.num_classes

    def score(
        self, output: Float[Tensor, "*items classes"], target: Int64[Tensor, "*items"]
    ) -> dict[str, Float[Tensor, "*items"]]:
        right = output.detach().argmax(-1) == target
        return {"loss": cross_entropy(output, target), "accuracy": right.to(output.dtype)}


def cross_entropy(output: Float[Tensor, "*items classes"], target: Int64[Tensor, "*items"]) -> Float[Tensor, "*items"]:
    """The cross-entropy of each item, in nats."""
    return F.cross_entropy(output.flatten(0, -2), target.flatten(), reduction="none").view_as(target)
