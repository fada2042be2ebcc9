"""What lightning trains, whether it is one network or an ensemble: the optimizer, the schedule, the average."""

from __future__ import annotations

import abc
from typing import Any, Generic, TypeVar, cast

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.models.averaging import make_average
from benchmarks.models.kernels import build_kernels
from benchmarks.models.optimizers import make_optimizer
from benchmarks.models.schedule import Plateaus, rate_function
from benchmarks.objectives import Batch, Objective
from benchmarks.settings.types import Settings

Module = TypeVar("Module", bound=nn.Module)


class Trainee(L.LightningModule, abc.ABC, Generic[Module]):
    """Something that learns an objective as the settings say. Abstract.

    Args:
        network: that learns.
        named: the module whose parameters are named as the settings name them.
        objective: what it learns.
        settings: of the run.

    Attributes:
        average: of the weights; None if none is wanted.
        plateaus: that the learning rate waits for.
    """

    def __init__(self, network: Module, named: nn.Module, objective: Objective, settings: Settings) -> None:
        super().__init__()
        self.network = network
        self.average = make_average(network, settings.average)
        self.objective = objective
        self.settings = settings
        self.plateaus = Plateaus(settings.schedule.plateau_factor)
        self._named = [named]  # not a module of its own, whose parameters would be there twice
        self._steps = 0

    @property
    @abc.abstractmethod
    def validation(self) -> dict[str, float]:
        """The loss and the metrics on validation data, to be shown."""

    @property
    def evaluated(self) -> Module:
        """The network that is evaluated and kept: the average where there is one and it has begun."""
        if self.average is None or not int(self.average.n_averaged):
            return self.network
        return cast(Module, self.average.module)

    def on_fit_start(self) -> None:
        if self.device.type == "cpu":
            build_kernels(self)

    def on_train_batch_end(self, outputs: Any, batch: Batch | list[Batch], batch_idx: int) -> None:
        if self.average is not None and self.global_step > self.settings.average.start * self._steps:
            self.average.update_parameters(self.network)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = make_optimizer(self.settings.optimizer, self._named[0])
        self._steps = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimizer, rate_function(self.settings.schedule, self._steps, self.plateaus))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
