"""From a run that has ended to its result."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from typing import Any

from benchmarks.models.network import count_parameters
from benchmarks.report.result import Accuracy, DataFile, RunResult, Seconds
from benchmarks.run.prepare import Work
from benchmarks.settings.types import ODESettings, Settings
from benchmarks.support.provenance import find_commit, find_machine, find_versions

ODE_FIELDS = ("field", "solver", "adjoint", "engine", "hold", "dt", "substeps")


def describe_finished(work: Work, accuracy: Accuracy, test_seconds: float) -> RunResult:
    """The result of a run that was trained and tested."""
    return _describe(work, accuracy, None, test_seconds)


def describe_diverged(work: Work, error: ArithmeticError) -> RunResult:
    """The result of a run that was stopped by a number that is not finite."""
    where = f"in epoch {work.trainer.current_epoch + 1}: "
    said = str(error)
    return _describe(work, None, said if "in epoch" in said else where + said, 0.0)


def _describe(work: Work, accuracy: Accuracy | None, failure: str | None, test_seconds: float) -> RunResult:
    request, history = work.request, work.record.history
    training = sum(row.seconds for row in history)
    return RunResult(
        task=request.name.task,
        row=request.name.row,
        title=request.settings.title,
        seed=request.settings.seed,
        status="diverged" if accuracy is None else "finished",
        failure=failure,
        accuracy=accuracy,
        best_epoch=work.record.best_epoch if accuracy else None,
        epochs=request.settings.epochs,
        parameters=count_parameters(work.module),
        **_ode_fields(request.settings),
        seconds=Seconds(training, training / max(len(history), 1), test_seconds),
        commit=find_commit(),
        versions=find_versions(),
        machine=find_machine(work.trainer.strategy.root_device),
        data={name: DataFile(**check) for name, check in work.task.data_checksum.items()},
        settings=request.settings.plain(),
        history=history,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _ode_fields(settings: Settings) -> dict[str, Any]:
    given = asdict(settings.model) if isinstance(settings.model, ODESettings) else {}
    return {name: given.get(name) for name in ODE_FIELDS}
