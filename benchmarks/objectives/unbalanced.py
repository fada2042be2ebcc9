"""Classes of which some are much more frequent than others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, final

from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.objectives.labels import ACCURACY, LabelObjective, cross_entropy, right_answers
from benchmarks.objectives.metric import Metric

BALANCED = replace(ACCURACY, name="balanced_accuracy", title="balanced accuracy")
# A property of the data and not of a network, kept beside the accuracy that it puts into proportion.
MAJORITY = replace(ACCURACY, name="majority_rate", title="share of the most frequent class")


@final
@dataclass(frozen=True)
class UnbalancedClassification(LabelObjective):
    """Cross-entropy, accuracy, and beside it what says how much of that is earned.

    The balanced accuracy is the mean, over the classes that the data have, of the share of a class that is recognised
    (Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010); of equally frequent classes it
    is the accuracy. The majority rate is the accuracy of answering always the most frequent class. The accuracy
    selects, as in published results.
    """

    name: ClassVar[str] = "unbalanced-classification"
    loss_title: ClassVar[str] = "cross-entropy"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, BALANCED, MAJORITY)

    def score(
        self, output: Float[Tensor, "*items classes"], target: Int64[Tensor, "*items"]
    ) -> dict[str, Float[Tensor, "*items"]]:
        right = right_answers(output, target)
        scores = {"loss": cross_entropy(output, target), "accuracy": right}
        for label in range(self.num_classes):
            is_of_class = (target == label).to(right)
            scores |= {_share(label): is_of_class, _recognised(label): is_of_class * right}
        return scores

    def summarise(self, means: Mapping[str, float]) -> dict[str, float]:
        shares = {label: means[_share(label)] for label in range(self.num_classes)}
        recalls = [means[_recognised(label)] / share for label, share in shares.items() if share]
        balanced = {"balanced_accuracy": sum(recalls) / len(recalls), "majority_rate": max(shares.values())}
        return {"loss": means["loss"], "accuracy": means["accuracy"], **balanced}


def _share(label: int) -> str:
    return f"share of class {label}"


def _recognised(label: int) -> str:
    return f"recognised of class {label}"
