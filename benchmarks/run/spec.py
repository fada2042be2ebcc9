"""What a run is asked for, and the task that it asks for."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.run.folder import RunFolder
from benchmarks.run.lease import TAKEOVER
from benchmarks.run.loggers import LoggerName
from benchmarks.run.progress import Progress
from benchmarks.settings.names import RunName
from benchmarks.settings.types import Settings
from benchmarks.support.errors import UserError
from benchmarks.tasks import TASKS, Task


@dataclass(frozen=True)
class RunSpec:
    """A run that is asked for.

    Attributes:
        out: the folder above `<task>/<row>/seed-<n>`.
        data_dir: for a task that reads files; None leaves it to the task.
        overwrite: forget what is in the folder.
        devices: processes that train together, each on a device of its own (a share of the processor on the CPU).
        takeover: seconds without a sign of life after which another process may take the run over from this one.
    """

    name: RunName
    settings: Settings
    out: Path
    data_dir: Path | None = None
    overwrite: bool = False
    devices: int = 1
    takeover: float = TAKEOVER
    progress: Progress = "none"
    loggers: tuple[LoggerName, ...] = ()

    @property
    def folder(self) -> RunFolder:
        """Where the run lies."""
        return RunFolder(self.out / self.name.task / self.name.row / f"seed-{self.settings.seed}")


def make_task(spec: RunSpec) -> Task:
    """The task with its settings; no data is read yet.

    Raises:
        UserError: it does not take them.
    """
    make = TASKS[spec.name.task]
    places: dict[str, Any] = {"data_dir": spec.data_dir} if "data_dir" in inspect.signature(make).parameters else {}
    try:
        task = make(**spec.settings.task, **places, seed=spec.settings.seed)
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"the task {spec.name.task} does not take its settings: {error}") from error
    if task.name != spec.name.task:
        raise UserError(f"the settings `task` of {spec.name} make the task {task.name}; train a run of that name")
    return task


def read_data(task: Task) -> None:
    """Downloads what is not there, and reads it.

    Raises:
        UserError: it cannot be had, or is damaged.
    """
    try:
        task.prepare_data()
        task.setup()
    except (OSError, ValueError) as error:
        raise UserError(f"the data of {task.name}: {error}") from error
