"""What a run keeps of its epochs: the log, the best weights so far, and the checkpoint that holds both."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from benchmarks.models.learner import Learner
from benchmarks.models.scorer import Scorer
from benchmarks.report.result import EpochMetrics
from benchmarks.run.folder import RunFolder
from benchmarks.run.lease import Lease
from benchmarks.support.atomic import write_text


class RunHistory(Checkpoint):
    """Ends each epoch: adds it to the history, keeps the weights if they are the best, saves a checkpoint.

    History and best weights are part of the checkpoint, so they always belong to the weights beside them. The log is
    written after it, from the history: lightning's own CSVLogger deletes what it finds when a run continues. A run that
    dies between the two finds the epoch in its checkpoint and writes the log at its next start.

    As a lightning `Checkpoint` it comes after every other callback and after the module at the end of an epoch.

    Attributes:
        history: the epochs so far.
        best: the weights of the epoch that is best on validation data by the objective.
        best_epoch: that epoch, from 1; 0 before the first one ends.
    """

    def __init__(self, folder: RunFolder, lease: Lease) -> None:
        self.folder = folder
        self.lease = lease
        self.history: list[EpochMetrics] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        self._began = 0.0

    def state_dict(self) -> dict[str, Any]:
        rows = [asdict(row) for row in self.history]
        return {"history": rows, "best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [EpochMetrics(**row) for row in state_dict["history"]]
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.history and trainer.is_global_zero:
            self.write_log()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began = time.monotonic()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.lease.check_sometimes()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        state = pl_module.evaluated.state_dict()
        self.add(trainer, pl_module.scorer, time.monotonic() - self._began, state)
        if trainer.is_global_zero:
            self.lease.check()
        trainer.save_checkpoint(self.folder.checkpoint)  # written by the first of several processes; all meet here
        if trainer.is_global_zero:
            self.write_log()

    def add(self, trainer: L.Trainer, scorer: Scorer, seconds: float, state: Mapping[str, Tensor]) -> None:
        """Adds an epoch that has ended, and keeps its weights if they are the best."""
        lr = float(trainer.optimizers[0].param_groups[0]["lr"])
        metrics, merit = scorer.metrics, scorer.objective.merit
        row = EpochMetrics(len(self.history) + 1, metrics["train"], metrics["val"], lr, seconds)
        self.history.append(row)
        if self.best_epoch == 0 or merit(row.val) > merit(self.history[self.best_epoch - 1].val):
            self.best = {name: value.detach().cpu().clone() for name, value in state.items()}
            self.best_epoch = row.epoch

    def write_log(self) -> None:
        """Writes the log of all epochs."""
        write_text(self.folder.metrics, to_csv(self.history))


def to_csv(history: Sequence[EpochMetrics]) -> str:
    """The epochs as comma-separated values, with a line of names."""
    rows = [_flat(row) for row in history]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _flat(row: EpochMetrics) -> dict[str, float]:
    train = {f"train_{name}": value for name, value in row.train.items()}
    val = {f"val_{name}": value for name, value in row.val.items()}
    return {"epoch": row.epoch, **train, **val, "lr": row.lr, "seconds": row.seconds}
