"""One run from its settings to its result, going on where an earlier start of it stopped."""

from __future__ import annotations

import time

from benchmarks.report.result import Accuracy, RunResult, read_result, write_result
from benchmarks.run.describe import describe_diverged, describe_finished
from benchmarks.run.lightning_compat import interruptible, quiet
from benchmarks.run.prepare import Work, prepare
from benchmarks.run.request import Request
from benchmarks.support.errors import NonFiniteError
from benchmarks.support.threads import threads
from solvers import DivergenceError


def train(request: Request) -> RunResult:
    """The result of a run: read if it has ended before, else trained from its last checkpoint or from the start.

    Raises:
        UserError: something that the user can mend, before any work.
        KeyboardInterrupt: by Ctrl-C; the run can go on from its last checkpoint.
    """
    folder = request.folder
    with folder.owned():
        if request.overwrite:
            folder.clear()
        folder.check(request.settings)
        if folder.result.exists():
            return read_result(folder.result)
        with quiet():
            work = prepare(request)
            folder.claim(request.settings)
            result = _carry_out(work)
        write_result(folder.result, result)
    return result


def _carry_out(work: Work) -> RunResult:
    with threads(work.request.settings.trainer.threads):
        try:
            _fit(work)
            accuracy, seconds = _test(work)
        except (NonFiniteError, DivergenceError) as error:
            return describe_diverged(work, error)
        return describe_finished(work, accuracy, seconds)


def _fit(work: Work) -> None:
    checkpoint = work.request.folder.checkpoint
    start = str(checkpoint) if checkpoint.exists() else None
    with interruptible():
        # With every epoch in the checkpoint this only restores: a run killed while it was tested trains no further.
        work.trainer.fit(work.module, datamodule=work.task, ckpt_path=start, weights_only=True)


def _test(work: Work) -> tuple[Accuracy, float]:
    work.module.network.load_state_dict(work.record.best)
    began = time.monotonic()
    with interruptible():
        work.trainer.test(work.module, datamodule=work.task, verbose=False)
    history = work.record.history
    best = history[work.record.best_epoch - 1].val_accuracy
    accuracy = Accuracy(history[-1].train_accuracy, best, work.module.metrics["test_accuracy"])
    return accuracy, time.monotonic() - began
