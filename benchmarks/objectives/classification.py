"""One of several classes, for a sample or for each of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.objectives.labels import ACCURACY, LabelObjective, cross_entropy, right_answers
from benchmarks.objectives.metric import Metric


@final
@dataclass(frozen=True)
class Classification(LabelObjective):
    """Cross-entropy (natural logarithm) and accuracy over `num_classes` logits."""

    name: ClassVar[str] = "classification"
    loss_title: ClassVar[str] = "cross-entropy"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY,)

    def score(
        self, output: Float[Tensor, "*items classes"], target: Int64[Tensor, "*items"]
    ) -> dict[str, Float[Tensor, "*items"]]:
        return {"loss": cross_entropy(output, target), "accuracy": right_answers(output, target)}
