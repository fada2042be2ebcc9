"""From a run that has ended to its result."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from typing import Any

from benchmarks.report.result import DataFile, RunResult, Scores, Seconds
from benchmarks.run.prepare import Prepared
from benchmarks.settings.types import ODESettings, Settings
from benchmarks.support.provenance import find_commit, find_machine, find_versions

ODE_FIELDS = ("field", "solver", "adjoint", "engine", "hold", "dt", "substeps")


def describe_finished(prepared: Prepared, metrics: dict[str, Scores], test_seconds: float) -> RunResult:
    """The result of a run that was trained and tested."""
    return _describe(prepared, metrics, None, test_seconds)


def describe_diverged(prepared: Prepared, error: ArithmeticError) -> RunResult:
    """The result of a run that was stopped by a number that is not finite."""
    where = f"in epoch {prepared.trainer.current_epoch + 1}: "
    said = str(error)
    return _describe(prepared, None, said if "in epoch" in said else where + said, 0.0)


def _describe(
    prepared: Prepared, metrics: dict[str, Scores] | None, failure: str | None, test_seconds: float
) -> RunResult:
    spec, history = prepared.spec, prepared.record.history
    training = sum(row.seconds for row in history)
    return RunResult(
        task=spec.name.task,
        row=spec.name.row,
        title=spec.settings.title,
        seed=spec.settings.seed,
        status="diverged" if metrics is None else "finished",
        failure=failure,
        objective=prepared.task.objective.name,
        metrics=metrics,
        best_epoch=prepared.record.best_epoch if metrics else None,
        epochs=spec.settings.epochs,
        parameters=prepared.parameters,
        **_ode_fields(spec.settings),
        seconds=Seconds(training, training / max(len(history), 1), test_seconds),
        commit=find_commit(),
        versions=find_versions(),
        machine=find_machine(prepared.trainer.strategy.root_device, spec.devices),
        data={name: DataFile(**check) for name, check in prepared.task.data_checksum.items()},
        variants=list(prepared.task.variants),
        settings=spec.settings.plain(),
        history=history,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _ode_fields(settings: Settings) -> dict[str, Any]:
    given = asdict(settings.model) if isinstance(settings.model, ODESettings) else {}
    return {name: given.get(name) for name in ODE_FIELDS}
