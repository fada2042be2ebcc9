"""One run from its settings to its result, going on where an earlier start of it stopped."""

from __future__ import annotations

import time

from benchmarks.report.result import RunResult, Scores, read_result, write_result
from benchmarks.run.describe import describe_diverged, describe_finished
from benchmarks.run.lightning_compat import interruptible, quiet
from benchmarks.run.prepare import PreparedRun, prepare
from benchmarks.run.spec import RunSpec
from benchmarks.support.errors import NonFiniteError
from benchmarks.support.threads import threads
from solvers import DivergenceError


def train(spec: RunSpec) -> RunResult:
    """The result of a run: read if it has ended before, else trained from its last checkpoint or from the start.

    Raises:
        UserError: something that the user can mend, before any work.
        KeyboardInterrupt: by Ctrl-C; the run can go on from its last checkpoint.
    """
    folder = spec.folder
    with folder.owned():
        if spec.overwrite:
            folder.clear()
        folder.check(spec.settings)
        if folder.result.exists():
            return read_result(folder.result)
        with quiet():
            prepared = prepare(spec)
            folder.claim(spec.settings)
            result = _carry_out(prepared)
        write_result(folder.result, result)
    return result


def _carry_out(prepared: PreparedRun) -> RunResult:
    with threads(prepared.spec.settings.trainer.threads):
        try:
            _fit(prepared)
            metrics, seconds = _test(prepared)
        except (NonFiniteError, DivergenceError) as error:
            return describe_diverged(prepared, error)
        return describe_finished(prepared, metrics, seconds)


def _fit(prepared: PreparedRun) -> None:
    checkpoint = prepared.spec.folder.checkpoint
    start = str(checkpoint) if checkpoint.exists() else None
    with interruptible():
        # With every epoch in the checkpoint this only restores: a run killed while it was tested trains no further.
        prepared.trainer.fit(prepared.module, datamodule=prepared.task, ckpt_path=start, weights_only=True)


def _test(prepared: PreparedRun) -> tuple[dict[str, Scores], float]:
    prepared.module.network.load_state_dict(prepared.record.best)
    began = time.monotonic()
    with interruptible():
        prepared.trainer.test(prepared.module, datamodule=prepared.task, verbose=False)
    return _scores(prepared), time.monotonic() - began


def _scores(prepared: PreparedRun) -> dict[str, Scores]:
    record = prepared.record
    train, val = record.history[-1].train, record.history[record.best_epoch - 1].val
    test = prepared.module.metrics["test"]
    names = [metric.name for metric in prepared.task.objective.metrics]
    return {name: Scores(train[name], val[name], test[name]) for name in names}
