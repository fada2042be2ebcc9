"""The table of a task: what the paper says, and what came out here."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.published import best_of_the_paper, published_for
from benchmarks.report.result import RunResult
from benchmarks.report.verdict import EXPLAINED, verdict
from benchmarks.settings.types import differences

NONE = "–"
NOTE = (
    "ours: {label} on the test data, evaluated once, with the weights that were best on held-out validation data; mean "
    "± sample standard deviation over n seeds, without those that diverged. parameters: ours where the row was run "
    "here. time: training and validation of one run, the mean."
)
UNVERIFIED = "† no checksum says that the data files are the published ones: not comparable."


@dataclass(frozen=True)
class Row:
    """A line of the table, as text."""

    method: str
    paper: str
    ours: str
    verdict: str
    seeds: str
    parameters: str
    epochs: str
    time: str


COLUMNS = {
    "method": "method",
    "paper": "paper",
    "ours": "ours",
    "against the paper": "verdict",
    "n": "seeds",
    "parameters": "parameters",
    "epochs": "epochs",
    "time": "time",
}
"""The heads of the columns, and the attribute of `Row` that each shows."""


def columns_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The heads of a table's columns: without the verdict where no row has one."""
    judged = any(row.verdict != NONE for row in rows)
    return tuple(head for head in COLUMNS if judged or COLUMNS[head] != "verdict")


def cells_of(row: Row, columns: Sequence[str]) -> list[str]:
    """A line's cells under these heads."""
    return [getattr(row, COLUMNS[head]) for head in columns]


def group_results(results: Sequence[RunResult]) -> list[list[RunResult]]:
    """Runs that differ in nothing but the seed, together, each group in the order of its seeds."""
    groups: list[list[RunResult]] = []
    for result in sorted(results, key=lambda found: (_is_ode(found), found.row, found.epochs, found.seed)):
        same = [group for group in groups if _same_run(group[0], result)]
        if same:
            same[0].append(result)
        else:
            groups.append([result])
    return groups


def build_table(task: str, results: Sequence[RunResult]) -> list[Row]:
    """The lines for `task`: our further baselines, the paper's lines with ours beside them, our further networks.

    Raises:
        ValueError: a result is of another task.
    """
    strangers = {result.task for result in results} - {task}
    if strangers:
        raise ValueError(f"`results` has runs of {', '.join(sorted(strangers))}; give those of {task} only")
    groups = group_results(results)
    published = published_for(task)
    joined = {line.row for line in published if line.row is not None}
    rest = [group for group in groups if group[0].row not in joined]
    rows = [_row(group) for group in rest if not _is_ode(group[0])]
    for line in published:
        ours = [group for group in groups if group[0].row == line.row]
        paper = line.accuracy[task]
        rows += [_row(group, paper) for group in ours]
        if not ours:
            rows.append(Row(line.method, paper, NONE, NONE, NONE, line.parameters, NONE, NONE))
    return rows + [_row(group) for group in rest if _is_ode(group[0])]


def notes(results: Sequence[RunResult]) -> list[str]:
    """What a reader of the table has to know."""
    failures = [f"{result.method}, seed {result.seed}: {result.failure}" for result in results if result.failure]
    labels = {result.objective_class.selector().label: None for result in results}
    explained = [NOTE.format(label=label) for label in labels]
    if any(published_for(result.task) for result in results):
        explained.append(EXPLAINED)
    beside = [f"{result.method}, seed {result.seed}, test: {result.beside}" for result in results if result.beside]
    return [*explained, *([UNVERIFIED] if any(map(_unverified, results)) else []), *beside, *failures]


def format_seconds(seconds: float) -> str:
    """A time in the unit that suits it: 45 s, 12 min, 3.4 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"


def _row(group: Sequence[RunResult], paper: str = NONE) -> Row:
    first = group[0]
    ours = _ours(group) + ("†" if any(map(_unverified, group)) else "")
    time = format_seconds(statistics.fmean(result.seconds.training for result in group))
    return Row(
        first.method,
        paper,
        ours,
        _verdict(group, paper),
        str(len(group)),
        f"{first.parameters:,}",
        str(first.epochs),
        time,
    )


def _verdict(group: Sequence[RunResult], paper: str) -> str:
    found = [result.scores.test for result in group if result.scores is not None]
    if not found or not all(result.comparable for result in group):
        return NONE
    ours = group[0].objective_class.selector().factor * statistics.fmean(found)
    published = None if paper == NONE else float(paper)
    return verdict(ours, published, best_of_the_paper(group[0].task)) or NONE


def _ours(group: Sequence[RunResult]) -> str:
    metric = group[0].objective_class.selector()
    values = [result.scores.test for result in group if result.scores is not None]
    diverged = len(group) - len(values)
    if not values:
        return "diverged"
    spread = f" ± {metric.cell(statistics.stdev(values))}" if len(values) > 1 else ""
    lost = f" ({diverged} diverged)" if diverged else ""
    return f"{metric.cell(statistics.fmean(values))}{spread}{lost}"


def _same_run(one: RunResult, other: RunResult) -> bool:
    found = differences(one.settings, other.settings)
    return (one.row, one.variants) == (other.row, other.variants) and all(line.startswith("`seed`") for line in found)


def _is_ode(result: RunResult) -> bool:
    return result.solver is not None


def _unverified(result: RunResult) -> bool:
    return not all(data.verified for data in result.data.values())
