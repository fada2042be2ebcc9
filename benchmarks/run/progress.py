"""What a run shows while it trains."""

from __future__ import annotations

import time
from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

from benchmarks.models.trainee import Trainee

Progress = Literal["bar", "lines", "none"]
SECONDS = 60.0


class EpochLines(Callback):
    """A line for an epoch, at most one in `SECONDS` and one at the end: for logs, and for several runs at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._last = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS:
            return
        self._last = now
        assert isinstance(pl_module, Trainee)
        val, metric = pl_module.validation, pl_module.objective.selector()
        shown = f"validation {metric.text(val[metric.name])}, loss {val['loss']:.4f}"
        print(f"{self.name}: epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {shown}", flush=True)


def progress_callbacks(progress: Progress, name: str) -> list[Callback]:
    """The callbacks that show a run's progress."""
    if progress == "bar":
        return [TQDMProgressBar(leave=True)]
    return [EpochLines(name)] if progress == "lines" else []
