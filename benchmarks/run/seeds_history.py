"""What an ensemble keeps of its epochs: of each seed what its run by itself keeps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from benchmarks.models.ensemble_learner import EnsembleLearner
from benchmarks.run.history import RunHistory


class SeedsHistory(Checkpoint):
    """Ends each epoch of an ensemble, as `RunHistory` ends that of a run.

    A seed's time is its share of that of the ensemble, so that the times of all add up to what was spent.

    Args:
        records: of the seeds.
    """

    def __init__(self, records: Sequence[RunHistory]) -> None:
        self.records = list(records)
        self._began = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"seeds": [record.state_dict() for record in self.records]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for record, state in zip(self.records, state_dict["seeds"], strict=True):
            record.load_state_dict(state)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for record in self.records:
            record.on_fit_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began = time.monotonic()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for record in self.records:
            record.lease.check_sometimes()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, EnsembleLearner)
        share = (time.monotonic() - self._began) / len(self.records)
        for model, (record, scorer) in enumerate(zip(self.records, pl_module.scorers, strict=True)):
            record.add(trainer, scorer, share, pl_module.weights_of(model))
            record.lease.check()
        trainer.save_checkpoint(self.records[0].folder.checkpoint)  # which writes one for each seed
        for record in self.records:
            record.write_log()
