"""What lightning trains: loss, accuracy, optimizer, and the stop where a number is no longer finite."""

from __future__ import annotations

import math

import lightning as L
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.models.metrics import EpochMetrics
from benchmarks.models.network import SequenceClassifier
from benchmarks.models.optimizers import make_optimizer
from benchmarks.models.schedule import rate_function
from benchmarks.settings.types import Settings
from benchmarks.support.errors import NonFiniteError

Batch = tuple[Float[Tensor, "batch time input"], Int64[Tensor, "batch"]]


class Classifier(L.LightningModule):
    """A network with its loss. After each part of an epoch `metrics` holds its loss and accuracy.

    Attributes:
        metrics: "train_loss", "train_accuracy", "val_loss", ..., each of the last such epoch.
    """

    def __init__(self, network: SequenceClassifier, settings: Settings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.metrics: dict[str, float] = {}
        self._tally = {stage: EpochMetrics() for stage in ("train", "val", "test")}
        self._loss = torch.zeros(())
        self._steps_of_epoch = 0

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch classes"]:
        """The logits."""
        return self.network(x)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self._loss = self._evaluate("train", batch)
        return self._loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("test", batch)

    def on_train_epoch_start(self) -> None:
        # Nothing here draws random numbers yet. What does one day, a dropout for example, has then the same ones in
        # an epoch whether or not the run was stopped before it.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)
        self._steps_of_epoch = 0

    def on_train_epoch_end(self) -> None:
        self._close("train")

    def on_validation_epoch_end(self) -> None:
        self._close("val")

    def on_test_epoch_end(self) -> None:
        self._close("test")

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = make_optimizer(self.settings.optimizer, self.network.parameters())
        total = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimizer, rate_function(self.settings.schedule, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by norm, and stops the run before the step where the loss or the norm is not finite."""
        limit = self.settings.trainer.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        if not bool(torch.isfinite(self._loss) & torch.isfinite(norm)):
            self._check("the training loss", self._loss.item())
            self._check("the norm of the gradient", norm.item())
        self._steps_of_epoch += 1

    def _evaluate(self, stage: str, batch: Batch) -> Tensor:
        x, label = batch
        logits = self(x)
        loss = F.cross_entropy(logits, label)
        self._tally[stage].add(loss, logits, label)
        return loss

    def _close(self, stage: str) -> None:
        loss, accuracy = self._tally[stage].close()
        self._check(f"the {stage} loss", loss)
        self.metrics |= {f"{stage}_loss": loss, f"{stage}_accuracy": accuracy}
        if stage != "test":
            self.log_dict({f"{stage}_loss": loss, f"{stage}_accuracy": accuracy}, prog_bar=True)

    def _check(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise NonFiniteError.at(what, value, epoch=self.current_epoch + 1, step=self._steps_of_epoch + 1)
