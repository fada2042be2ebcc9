"""The runs there are: one file of settings each, `configs/<task>/<row>.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.errors import UserError, nearest

CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True, order=True)
class RunName:
    """A run: a task, and a row of its table."""

    task: str
    row: str

    def __str__(self) -> str:
        return f"{self.task}/{self.row}"

    @property
    def config(self) -> Path:
        """The file that holds every number of the run."""
        return CONFIGS / self.task / f"{self.row}.yaml"


def all_runs() -> list[RunName]:
    """Every run there is a file for, sorted."""
    return sorted(RunName(path.parent.name, path.stem) for path in CONFIGS.glob("*/*.yaml"))


def runs_of(task: str) -> list[RunName]:
    """The runs of one task.

    Raises:
        UserError: there are none.
    """
    found = [name for name in all_runs() if name.task == task]
    if not found:
        tasks = sorted({name.task for name in all_runs()})
        raise UserError(f"`task` is {task!r}{nearest(task, tasks)}; choose from {', '.join(tasks)}")
    return found


def find_run(text: str) -> RunName:
    """The run called `text`, such as "digits/lstm".

    Raises:
        UserError: there is none of this name; the message has the nearest, and lists those there are.
    """
    by_name = {str(name): name for name in all_runs()}
    if text not in by_name:
        raise UserError(f"`run` is {text!r}{nearest(text, by_name)}; choose one of\n{list_runs(text)}")
    return by_name[text]


def list_runs(beneath: str = "") -> str:
    """The runs, one task a line; of one task only, if `beneath` begins with its name."""
    rows: dict[str, list[str]] = {}
    for name in all_runs():
        rows.setdefault(name.task, []).append(name.row)
    task = beneath.split("/")[0]
    rows = {task: rows[task]} if task in rows else rows
    return "\n".join(f"  {task}/ {' '.join(found)}" for task, found in rows.items())
