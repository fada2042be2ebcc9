"""The work of one run, by the owner of its folder: fit, test, result."""

from __future__ import annotations

import time

from benchmarks.objectives import Objective
from benchmarks.report.result import RunResult, Scores, write_result
from benchmarks.run.describe import describe_diverged, describe_finished
from benchmarks.run.history import RunHistory
from benchmarks.run.lease import Lease
from benchmarks.run.lightning_compat import interruptible, quiet
from benchmarks.run.prepare import PreparedRun, prepare
from benchmarks.run.spec import RunSpec
from benchmarks.support.errors import NonFiniteError
from benchmarks.support.threads import threads
from solvers import DivergenceError


def carry_out(spec: RunSpec, lease: Lease) -> RunResult:
    """Trains a run from its last checkpoint or from the start, tests it, and writes the result.

    Of several processes that train together each does so with its share of the data, and the first one writes.
    """
    folder = spec.folder
    with quiet():
        prepared = prepare(spec, lease)
        first = prepared.trainer.is_global_zero
        if first:
            folder.clear_parts()
            folder.claim(spec.settings)
        result = _fit_and_test(prepared)
    if first:
        lease.check()
        write_result(folder.result, result)
    return result


def _fit_and_test(prepared: PreparedRun) -> RunResult:
    with threads(prepared.spec.settings.trainer.threads):
        try:
            fit(prepared)
            metrics, seconds = _test(prepared)
        except (NonFiniteError, DivergenceError) as error:
            return describe_diverged(prepared, error)
        return describe_finished(prepared, metrics, seconds)


def fit(prepared: PreparedRun) -> None:
    """Trains from the last checkpoint, or from the start, to the last epoch."""
    checkpoint = prepared.spec.folder.checkpoint
    start = str(checkpoint) if checkpoint.exists() else None
    with interruptible():
        # With every epoch in the checkpoint this only restores: a run killed while it was tested trains no further.
        prepared.trainer.fit(prepared.module, datamodule=prepared.task, ckpt_path=start, weights_only=True)


def _test(prepared: PreparedRun) -> tuple[dict[str, Scores], float]:
    prepared.module.keep_only(prepared.record.best)
    began = time.monotonic()
    with interruptible():
        prepared.trainer.test(prepared.module, datamodule=prepared.task, verbose=False)
    metrics = scores_of(prepared.record, prepared.task.objective, prepared.module.metrics["test"])
    return metrics, time.monotonic() - began


def scores_of(record: RunHistory, objective: Objective, test: dict[str, float]) -> dict[str, Scores]:
    """The metrics of a run that has been trained and tested."""
    train, val = record.history[-1].train, record.history[record.best_epoch - 1].val
    names = [metric.name for metric in objective.metrics]
    return {name: Scores(train[name], val[name], test[name]) for name in names}
