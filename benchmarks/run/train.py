"""One run from its settings to its result, going on where an earlier start of it stopped."""

from __future__ import annotations

import time

from benchmarks.report.result import RunResult, Scores, read_result, write_result
from benchmarks.run.describe import describe_diverged, describe_finished
from benchmarks.run.lease import Lease
from benchmarks.run.lightning_compat import interruptible, quiet
from benchmarks.run.prepare import PreparedRun, prepare
from benchmarks.run.spec import RunSpec
from benchmarks.support.atomic import WriteError
from benchmarks.support.errors import NonFiniteError
from benchmarks.support.threads import threads
from solvers import DivergenceError


def train(spec: RunSpec, succeeds: int | None = None) -> RunResult:
    """The result of a run: read if it has ended before, else trained from its last checkpoint or from the start.

    Args:
        spec: what is asked for.
        succeeds: as `RunFolder.owned`.

    Raises:
        UserError: something that the user can mend: before any work, or where the folder can no longer be written to.
        InUseError: another process is at work in the run's folder.
        LostLeaseError: another process took the run over while this one stood still.
        KeyboardInterrupt: by Ctrl-C; the run can go on from its last checkpoint.
    """
    folder = spec.folder
    ended = None if spec.overwrite else _ended(spec)  # which may be read by anybody, also where nobody may write
    if ended is not None:
        return ended
    with folder.owned(spec.takeover, succeeds) as lease:
        if spec.overwrite:
            folder.clear()
        folder.check(spec.settings)
        try:
            return _ended(spec) or _train(spec, lease)
        except WriteError as error:
            raise folder.unwritable(error) from error


def _ended(spec: RunSpec) -> RunResult | None:
    if not spec.folder.result.exists():
        return None
    spec.folder.check(spec.settings)
    return read_result(spec.folder.result)


def _train(spec: RunSpec, lease: Lease) -> RunResult:
    folder = spec.folder
    folder.clear_parts()
    with quiet():
        prepared = prepare(spec, lease)
        folder.claim(spec.settings)
        result = _carry_out(prepared)
    lease.check()
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
    prepared.module.keep_only(prepared.record.best)
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
