"""`result.json`: what a run came to, and everything needed to say where the number is from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.report.schema import SchemaError, read_as
from benchmarks.support.atomic import write_text
from benchmarks.support.errors import UserError
from benchmarks.support.provenance import Commit, Machine

FILE = "result.json"


@dataclass(frozen=True)
class EpochMetrics:
    """One line of metrics.csv: an epoch, counted from 1. Accuracies are shares, 0 to 1.

    Attributes:
        lr: the learning rate at the epoch's end.
        seconds: training and validation.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    seconds: float


@dataclass(frozen=True)
class Accuracy:
    """Shares, 0 to 1.

    Attributes:
        train: over the last epoch, while it trained.
        validation: the best one.
        test: of the weights that were best on validation, evaluated once.
    """

    train: float
    validation: float
    test: float


@dataclass(frozen=True)
class Seconds:
    """Time. Training includes validation and goes on over interruptions."""

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
    """A run that has ended: finished, or diverged (then `accuracy` and `best_epoch` are None).

    Attributes:
        field: and the four after it, None for a baseline.
        best_epoch: the epoch, from 1, of the best validation accuracy (of equal ones, the lowest loss).
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
    accuracy: Accuracy | None
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
    settings: dict[str, Any]
    history: list[EpochMetrics]
    finished: str

    def __post_init__(self) -> None:
        if (self.status == "finished") != (self.accuracy is not None):
            raise SchemaError(f"`accuracy` is {self.accuracy}, which does not go with the status {self.status!r}")

    @property
    def summary(self) -> str:
        """One line."""
        name = f"{self.task}/{self.row} seed {self.seed}"
        if self.accuracy is None:
            return f"{name}: diverged: {self.failure}"
        share = f"test {100 * self.accuracy.test:.2f} %, validation {100 * self.accuracy.validation:.2f} %"
        return f"{name}: {share} (epoch {self.best_epoch} of {self.epochs}), {self.seconds.training:.0f} s"


def write_result(path: Path, result: RunResult) -> None:
    """Writes `result` to a file: all of it or nothing."""
    write_text(path, json.dumps(asdict(result), indent=2, allow_nan=False) + "\n")


def read_result(path: Path) -> RunResult:
    """The result in a file.

    Raises:
        UserError: it cannot be read, or is no result; the message names the file and the field.
    """
    try:
        return read_as(RunResult, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, SchemaError) as error:
        raise UserError(f"{path} is no result of a run: {error}. Mend or delete it") from error


def find_results(folder: Path) -> list[RunResult]:
    """The results anywhere beneath `folder`, in the order of their paths."""
    return [read_result(path) for path in sorted(folder.rglob(FILE))]
