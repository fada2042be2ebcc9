"""What lightning trains: a network with its objective, its optimizer, and the stop where a number is not finite."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.models.chunks import ChunkRunner
from benchmarks.models.clipping import clip_gradients
from benchmarks.models.scorer import Scorer
from benchmarks.models.together import diverging_together, processes, sum_over_processes
from benchmarks.models.trainee import Trainee
from benchmarks.objectives import Batch, Objective
from benchmarks.settings.types import Settings
from benchmarks.support.errors import NonFiniteError
from odernn import SequenceNetwork


@final
class Learner(Trainee[SequenceNetwork]):
    """A network that learns an objective.

    Args:
        network: that learns.
        objective: what it learns.
        settings: of the run.
        carries_state: whether each batch continues the sequences of the one before, from the state at its end. Every
            epoch and every part of the data begins with the zero state, so that a run that continues from a checkpoint,
            which is written after an epoch, needs no state of the network.

    Attributes:
        scorer: of the network.
    """

    def __init__(
        self, network: SequenceNetwork, objective: Objective, settings: Settings, *, carries_state: bool = False
    ) -> None:
        super().__init__(network, network, objective, settings)
        self.scorer = Scorer(objective)
        self._runners = {stage: ChunkRunner(carries_state=carries_state) for stage in ("train", "val", "test")}
        self._loss = torch.zeros(())
        self._steps_of_epoch = 0

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch *time output"]:
        """What the network says of each sample, or of each step of each sample."""
        return self.network(x)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The metrics that the scorer keeps."""
        return self.scorer.metrics

    @property
    def validation(self) -> dict[str, float]:
        """The loss and the metrics on validation data."""
        return self.metrics["val"]

    def keep_only(self, weights: dict[str, Tensor]) -> None:
        """Makes `weights`, of which no average is taken any more, what is evaluated."""
        self.average = None
        self.network.load_state_dict(weights)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        with diverging_together(self.device):
            loss, count = self._evaluate("train", batch, batch_idx)
        if processes() == 1:
            self._loss = loss
            return loss
        # The gradients will be averaged over the processes, whose shares of a batch may differ in size by one: with
        # these weights their mean is the gradient of the mean over the whole batch.
        total, items = sum_over_processes([float(loss.detach()) * count, count], self.device)
        self._loss = torch.tensor(total / items)
        return loss * (count * processes() / items)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("test", batch, batch_idx)

    def on_train_epoch_start(self) -> None:
        # So dropout draws the same numbers in an epoch whether or not the run was stopped before it.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)
        self._steps_of_epoch = 0

    def on_train_epoch_end(self) -> None:
        self._close("train")

    def on_validation_epoch_end(self) -> None:
        self._close("val")
        if self.plateaus.end_epoch(self.objective.merit(self.metrics["val"])):
            for group in self.trainer.optimizers[0].param_groups:  # of the next step; the schedule sees to those after
                group["lr"] *= self.plateaus.factor

    def on_test_epoch_end(self) -> None:
        self._close("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["plateaus"] = self.plateaus.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "plateaus" in checkpoint:  # of a run that began before there were plateaus it has none
            self.plateaus.load_state_dict(checkpoint["plateaus"])

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips, and stops the run before the step where the loss or the norm is not finite."""
        norm = clip_gradients(list(self.network.parameters()), self.settings.trainer)
        if not bool(torch.isfinite(self._loss) & torch.isfinite(norm)):
            self._check("the training loss", self._loss.item())
            self._check("the norm of the gradient", norm.item())
        self._steps_of_epoch += 1

    def _evaluate(self, stage: str, batch: Batch, index: int) -> tuple[Tensor, int]:
        """The mean loss of a batch, and the number of items that it is the mean of."""
        network = self.network if stage == "train" else self.evaluated
        output = self._runners[stage](network, batch.x, begins=index == 0)
        return self.scorer.add(stage, output, batch)

    def _close(self, stage: str) -> None:
        means = self.scorer.close(stage)
        self._check(f"the {stage} loss", means["loss"])
        if stage != "test":
            self.log_dict({f"{stage}_{name}": value for name, value in means.items()}, prog_bar=True)

    def _check(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise NonFiniteError.at(what, value, epoch=self.current_epoch + 1, step=self._steps_of_epoch + 1)
