"""`result.json`: what a run came to, and everything needed to say where the number is from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.data.cifar10 import JPEG_COPY
from benchmarks.objectives import OBJECTIVES, Objective
from benchmarks.support.atomic import write_text
from benchmarks.support.errors import UserError
from benchmarks.support.provenance import Commit, Machine
from odernn.zoo.schema import SchemaError, read_as

FILE = "result.json"


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch, counted from 1.

    Attributes:
        train: means over the epoch while it trained: the loss and the objective's metrics.
        val: the same on validation data, after it.
        lr: the learning rate at the epoch's end.
        seconds: training and validation.
    """

    epoch: int
    train: dict[str, float]
    val: dict[str, float]
    lr: float
    seconds: float


@dataclass(frozen=True)
class Scores:
    """A metric on the three parts of the data.

    Attributes:
        train: over the last epoch, while it trained.
        val: of the best epoch.
        test: of that epoch's weights, evaluated once.
    """

    train: float
    val: float
    test: float


@dataclass(frozen=True)
class Seconds:
    """Time. Training includes validation and continues over interruptions."""

    training: float
    per_epoch: float
    test: float


@dataclass(frozen=True)
class DataFile:
    """The sha256 of uncompressed data, and whether it is the published one."""

    sha256: str
    verified: bool


@dataclass(frozen=True)
class RunResult:
    """A run that has ended: finished, or diverged (then `metrics` and `best_epoch` are None).

    Attributes:
        objective: its name in `OBJECTIVES`.
        metrics: by the names of the objective's metrics.
        variants: what differs from the task as its name says it, such as other data; shown wherever the result is.
        field: and the four after it, None for a baseline.
        best_epoch: the epoch, from 1, that is best on validation data by the objective.
        settings: all of them.
        history: the epochs, those before a failure too.
        finished: the time, UTC.
    """

    task: str
    row: str
    title: str
    seed: int
    status: Literal["finished", "diverged"]
    failure: str | None
    objective: str
    metrics: dict[str, Scores] | None
    best_epoch: int | None
    epochs: int
    parameters: int
    field: str | None
    solver: str | None
    adjoint: str | None
    engine: str | None
    hold: str | None
    dt: float | None
    substeps: int | None
    seconds: Seconds
    commit: Commit
    versions: dict[str, str]
    machine: Machine
    data: dict[str, DataFile]
    variants: list[str]
    settings: dict[str, Any]
    history: list[EpochMetrics]
    finished: str

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise SchemaError(f"`objective` is {self.objective!r}, wanted one of {', '.join(OBJECTIVES)}")
        if (self.status == "finished") != (self.metrics is not None):
            raise SchemaError(f"`metrics` is {self.metrics}, which does not go with the status {self.status!r}")
        wanted = {metric.name for metric in self.objective_class.metrics}
        if self.metrics is not None and self.metrics.keys() != wanted:
            raise SchemaError(f"`metrics` has {sorted(self.metrics)}, {self.objective} has {sorted(wanted)}")

    @property
    def objective_class(self) -> type[Objective]:
        """What `objective` names: it knows what the metrics mean."""
        return OBJECTIVES[self.objective]

    @property
    def method(self) -> str:
        """The title, with the variants that it was run in."""
        return " ".join([self.title, *(f"({variant})" for variant in self.variants)])

    @property
    def comparable(self) -> bool:
        """Whether it is the task as its name says it, on its data or on a copy of them."""
        if self.variants:
            return self.variants == [JPEG_COPY]
        return all(data.verified for data in self.data.values())

    @property
    def scores(self) -> Scores | None:
        """The metric that selected the best epoch; None for a run that diverged."""
        return None if self.metrics is None else self.metrics[self.objective_class.selector().name]

    @property
    def summary(self) -> str:
        """The result in one line."""
        name = f"{self.task}/{self.row} seed {self.seed}"
        if self.variants:
            name += f" ({', '.join(self.variants)})"
        if self.scores is None:
            return f"{name}: diverged: {self.failure}"
        text = self.objective_class.selector().text
        shown = f"test {text(self.scores.test)}, validation {text(self.scores.val)}"
        shown += f" (epoch {self.best_epoch} of {self.epochs}), {self.seconds.training:.0f} s"
        return "; ".join([f"{name}: {shown}", *([f"test {self.beside}"] if self.beside else [])])

    @property
    def beside(self) -> str:
        """The metrics that do not select, on the test data; empty where there are none, or the run diverged."""
        metrics = self.metrics or {}
        others = [metric for metric in self.objective_class.metrics[1:] if metric.name in metrics]
        return ", ".join(f"{metric.title} {metric.text(metrics[metric.name].test)}" for metric in others)


def write_result(path: Path, result: RunResult) -> None:
    """Writes `result` to a file: all of it or nothing."""
    write_text(path, json.dumps(asdict(result), indent=2, allow_nan=False) + "\n")


def read_result(path: Path) -> RunResult:
    """The result in a file.

    Raises:
        UserError: it cannot be read, or is not a result; the message names the file and the field.
    """
    try:
        return read_as(RunResult, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, SchemaError) as error:
        raise UserError(f"{path} is not the result of a run: {error}. Mend or delete it") from error


def find_results(folder: Path) -> list[RunResult]:
    """The results anywhere beneath `folder`, in the order of their paths."""
    return [read_result(path) for path in sorted(folder.rglob(FILE))]
