"""The leaderboard: results from folders, checked, grouped over their seeds, in brackets of parameters."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.leaderboard.cost import Cost, cost_of
from benchmarks.leaderboard.verify import Verified, verify
from benchmarks.objectives import Metric
from benchmarks.report.result import FILE, RunResult
from benchmarks.report.table import group_results
from benchmarks.settings.types import differences
from benchmarks.support.errors import UserError

BRACKETS = (12_000, 50_000, 150_000)
"""The most parameters of each bracket; a network stands in the smallest that holds it."""


@dataclass(frozen=True)
class Entry:
    """Runs that differ in nothing but the seed.

    Attributes:
        results: one a seed.
        cost: of a forward pass over one sequence.
    """

    results: Sequence[RunResult]
    cost: Cost

    @property
    def first(self) -> RunResult:
        """The result of the lowest seed."""
        return self.results[0]

    @property
    def metric(self) -> Metric:
        """What selected the epochs, and orders the board."""
        return self.first.objective_class.selector()

    @property
    def tests(self) -> list[float]:
        """The metric on test data of each run that did not diverge."""
        return [result.scores.test for result in self.results if result.scores is not None]

    @property
    def validations(self) -> list[float]:
        """The metric on validation data of each run that did not diverge."""
        return [result.scores.val for result in self.results if result.scores is not None]

    @property
    def published_data(self) -> bool:
        """Whether all data files are the published ones."""
        return all(file.verified for result in self.results for file in result.data.values())

    @property
    def merit(self) -> float:
        """Larger for a better entry; the least where all runs diverged."""
        return self.metric.merit(statistics.fmean(self.tests)) if self.tests else float("-inf")


@dataclass(frozen=True)
class Refused:
    """A file that is not shown.

    Attributes:
        path: its own.
        reason: why, in a sentence.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Attributes:
        entries: task by task, the best first.
        refused: the files that are not sound results.
    """

    entries: Sequence[Entry] = ()
    refused: Sequence[Refused] = field(default=())

    def in_bracket(self, most: int | None) -> list[Entry]:
        """The entries of one bracket; for None those that are larger than any."""
        return [entry for entry in self.entries if bracket_of(entry.first.parameters) == most]


def bracket_of(parameters: int) -> int | None:
    """The smallest bracket that holds so many parameters; None where none does."""
    return next((most for most in BRACKETS if parameters <= most), None)


def collect(folders: Sequence[Path]) -> Board:
    """The leaderboard of the results anywhere beneath some folders.

    Raises:
        UserError: a folder is not there, or there is no result in any.
    """
    sound: list[Verified] = []
    refused: list[Refused] = []
    for path in _files(folders):
        try:
            sound.append(_new(verify(path), sound))
        except UserError as error:
            refused.append(Refused(path, str(error)))
    entries = [entry for task in sorted({each.result.task for each in sound}) for entry in _entries(sound, task)]
    return Board(entries, refused)


def _files(folders: Sequence[Path]) -> list[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"`FOLDER` is {folder}, and there is no such folder")
    files = list(dict.fromkeys(path for folder in folders for path in sorted(folder.rglob(FILE))))
    if not files:
        raise UserError(f"there is no {FILE} beneath {', '.join(map(str, folders))}; train something first")
    return files


def _new(found: Verified, known: Sequence[Verified]) -> Verified:
    """The result, unless it is of a run that is there already.

    Raises:
        UserError: it is.
    """
    for other in known:
        one, two = found.result, other.result
        same = (one.task, one.row, one.variants) == (two.task, two.row, two.variants)
        if same and not differences(one.settings, two.settings):
            raise UserError(f"it is of the same run as {other.path}: {one.task}/{one.row}, seed {one.seed}")
    return found


def _entries(sound: Sequence[Verified], task: str) -> list[Entry]:
    """The entries of a task, the best first."""
    of_task = [each for each in sound if each.result.task == task]
    costs = {id(each.result): cost_of(each.network, each.task) for each in of_task}
    groups = group_results([each.result for each in of_task])
    entries = [Entry(group, costs[id(group[0])]) for group in groups]
    return sorted(entries, key=lambda entry: (-entry.merit, entry.first.parameters))
