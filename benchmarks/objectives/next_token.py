"""The next one of a stream of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, final

from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.objectives.labels import ACCURACY, cross_entropy, right_answers
from benchmarks.objectives.metric import Metric
from benchmarks.objectives.objective import Objective, ReadFrom

BITS = Metric("bits", "cross-entropy", "bits a character", "min", style=".3f", table_style=".3f")


@final
@dataclass(frozen=True)
class NextToken(Objective):
    """Cross-entropy of the token that follows each step, over a vocabulary, in nats to train and in bits to report.

    Targets are tokens from 0, Int64[Tensor, "batch time"]: the input's tokens, one step earlier.
    """

    vocabulary: int
    read_from: ReadFrom = field(default="trajectory", init=False)

    name: ClassVar[str] = "next-token"
    loss_title: ClassVar[str] = "cross-entropy"
    metrics: ClassVar[tuple[Metric, ...]] = (BITS, ACCURACY)

    @property
    def output_size(self) -> int:
        return self.vocabulary

    def score(
        self, output: Float[Tensor, "batch time vocabulary"], target: Int64[Tensor, "batch time"]
    ) -> dict[str, Float[Tensor, "batch time"]]:
        loss = cross_entropy(output, target)
        return {"loss": loss, "bits": loss.detach() / math.log(2), "accuracy": right_answers(output, target)}
