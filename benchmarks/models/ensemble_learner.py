"""What lightning trains of several seeds at once: an ensemble of networks, each as it would be trained by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.models.clipping import clip_each
from benchmarks.models.schedule import Plateaus
from benchmarks.models.scorer import Scorer
from benchmarks.models.trainee import Trainee
from benchmarks.objectives import Batch, Objective
from benchmarks.settings.types import Settings
from odernn import Ensemble, SequenceNetwork


class SeedsDivergedError(ArithmeticError):
    """Numbers of some networks of an ensemble stopped being finite.

    Attributes:
        models: their numbers in the ensemble.
    """

    def __init__(self, models: Sequence[int]) -> None:
        super().__init__(models)
        self.models = list(models)


@final
class EnsembleLearner(Trainee[Ensemble]):
    """Networks of one architecture that learn an objective, each from batches of its own.

    What is minimised is the sum of their losses; clipping, metrics and the choice of an epoch are each network's own.
    Nothing here draws random numbers, and the learning rate is that of all networks.

    Args:
        networks: that learn.
        objective: what they learn.
        settings: of their runs, which differ in the seed.

    Attributes:
        scorers: of the networks.
        merits: the best of each network so far, as `Plateaus` keeps it for a checkpoint.
    """

    def __init__(self, networks: Sequence[SequenceNetwork], objective: Objective, settings: Settings) -> None:
        ensemble = Ensemble(networks)
        super().__init__(ensemble, ensemble.network, objective, settings)
        self.scorers = [Scorer(objective) for _ in networks]
        self.merits = [Plateaus(1.0) for _ in networks]
        self._losses = torch.zeros(len(networks))

    @property
    def validation(self) -> dict[str, float]:
        """The means over the networks."""
        found = [scorer.metrics["val"] for scorer in self.scorers]
        return {name: math.fsum(means[name] for means in found) / len(found) for name in found[0]}

    def weights_of(self, model: int) -> dict[str, Tensor]:
        """The weights of a network that are evaluated and kept, by its own names."""
        state = self.evaluated.network.state_dict()
        return {name: value[model].detach().cpu().clone() for name, value in state.items()}

    def keep_only(self, weights: Sequence[dict[str, Tensor]]) -> None:
        """Makes these weights, those of each network, what is evaluated."""
        self.average = None
        self.network.network.load_state_dict(
            {name: torch.stack([each[name] for each in weights]) for name in weights[0]}
        )

    def training_step(self, batches: list[Batch], batch_idx: int) -> Tensor:
        self._losses = self._evaluate("train", batches)
        return self._losses.sum()

    def validation_step(self, batches: list[Batch], batch_idx: int) -> None:
        self._evaluate("val", batches)

    def test_step(self, batches: list[Batch], batch_idx: int) -> None:
        self._evaluate("test", batches)

    def on_train_epoch_end(self) -> None:
        self._close("train")

    def on_validation_epoch_end(self) -> None:
        self._close("val")
        for scorer, merit in zip(self.scorers, self.merits, strict=True):
            merit.end_epoch(self.objective.merit(scorer.metrics["val"]))

    def on_test_epoch_end(self) -> None:
        self._close("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["plateaus"] = [merit.state_dict() for merit in self.merits]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for merit, state in zip(self.merits, checkpoint["plateaus"], strict=True):
            merit.load_state_dict(state)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips each network's gradient, and stops before a step where a loss or a norm is not finite."""
        norms = clip_each(list(self.network.parameters()), self.settings.trainer)
        self._check(torch.isfinite(self._losses) & torch.isfinite(norms))

    def _evaluate(self, stage: str, batches: list[Batch]) -> Float[Tensor, " models"]:
        """The mean loss of each network's batch."""
        network = self.network if stage == "train" else self.evaluated
        outputs = network(torch.stack([batch.x for batch in batches]))
        rows = zip(self.scorers, outputs, batches, strict=True)
        return torch.stack([scorer.add(stage, output, batch)[0] for scorer, output, batch in rows])

    def _close(self, stage: str) -> None:
        means = [scorer.close(stage) for scorer in self.scorers]
        self._check(torch.tensor([math.isfinite(each["loss"]) for each in means]))

    @staticmethod
    def _check(fine: Tensor) -> None:
        """Raises SeedsDivergedError for the networks that are not."""
        if not bool(fine.all()):
            raise SeedsDivergedError((~fine).nonzero().flatten().tolist())
