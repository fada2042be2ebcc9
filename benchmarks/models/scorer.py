"""The scores of one network, batch by batch, and their means over each part of an epoch."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from benchmarks.models.means import RunningMeans, masked_mean
from benchmarks.objectives import Batch, Objective


class Scorer:
    """Scores a network by an objective.

    Attributes:
        metrics: by "train", "val" and "test", the means of the loss and of the objective's metrics over the last
            such part of an epoch.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.metrics: dict[str, dict[str, float]] = {}
        self._means = {stage: RunningMeans() for stage in ("train", "val", "test")}

    def add(
        self, stage: str, output: Float[Tensor, "batch *time output"], batch: Batch
    ) -> tuple[Float[Tensor, ""], int]:
        """The mean loss of a batch, and the number of items that it is the mean of."""
        scores = self.objective.score(output, batch.target)
        self._means[stage].add(scores, batch.mask)
        loss = scores["loss"]
        return masked_mean(loss, batch.mask), loss.numel() if batch.mask is None else int(batch.mask.sum())

    def close(self, stage: str) -> dict[str, float]:
        """The means over a part of the epoch, which ends here; they stand in `metrics` then."""
        self.metrics[stage] = self.objective.summarise(self._means[stage].close())
        return self.metrics[stage]
