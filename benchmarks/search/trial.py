"""One trial: a run that is trained and validated, and never tested."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import optuna
from lightning.pytorch.callbacks import Callback, Checkpoint

from benchmarks.report.result import EpochMetrics
from benchmarks.run.carry_out import fit
from benchmarks.run.history import RunHistory
from benchmarks.run.lease import Lease
from benchmarks.run.lightning_compat import quiet
from benchmarks.run.prepare import prepare
from benchmarks.run.spec import RunSpec
from benchmarks.support.errors import NonFiniteError
from benchmarks.support.threads import threads
from solvers import DivergenceError


class TimeUpError(Exception):
    """The time of the search ended within a trial, after an epoch. The trial can continue."""


class Reporter(Checkpoint):
    """Tells the study of every epoch, and stops the trial where the study or the time says so.

    A lightning `Checkpoint`, which come last at the end of an epoch, and added after the history, so that the epoch is
    in the history and its checkpoint written.
    """

    def __init__(self, trial: optuna.Trial, record: RunHistory, deadline: float) -> None:
        self.trial = trial
        self.record = record
        self.deadline = deadline
        self._told = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        for row in self.record.history:
            if row.epoch not in self._told:  # an epoch before a kill may be in the checkpoint and not in the study
                self.trial.report(merit(row, pl_module.objective), row.epoch)
                self._told.add(row.epoch)
        if len(self.record.history) == trainer.max_epochs:
            return
        if self.trial.should_prune():
            raise optuna.TrialPruned
        if time.monotonic() >= self.deadline:
            raise TimeUpError


def run_trial(spec: RunSpec, lease: Lease, trial: optuna.Trial, deadline: float) -> float:
    """What the best epoch comes to on validation data, larger being better.

    Args:
        spec: the run; its folder is the trial's own.
        lease: of that folder.
        trial: is told of every epoch.
        deadline: of the search, by the monotonic clock.

    Raises:
        optuna.TrialPruned: it is not worth going on, or it diverged.
        TimeUpError: the deadline passed.
    """
    with quiet(), threads(spec.settings.trainer.threads):
        prepared = prepare(spec, lease)
        spec.folder.path.mkdir(parents=True, exist_ok=True)
        spec.folder.clear_parts()
        spec.folder.claim(spec.settings)
        callbacks: list[Callback] = prepared.trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
        callbacks.append(Reporter(trial, prepared.record, deadline))
        try:
            fit(prepared)
        except (NonFiniteError, DivergenceError) as error:
            trial.set_user_attr("diverged", str(error))
            raise optuna.TrialPruned from error
    best = prepared.record.history[prepared.record.best_epoch - 1]
    return merit(best, prepared.task.objective)


def merit(row: EpochMetrics, objective: Any) -> float:
    """What an epoch comes to on validation data by the metric that selects, larger being better."""
    selector = objective.selector()
    return selector.merit(row.val[selector.name])
