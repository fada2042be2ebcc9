"""The leaderboard in words and tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.leaderboard.board import BRACKETS, Board, Entry
from benchmarks.pages.document import NONE, Cell, Column, Document, Section, Table, number, whole, words
from benchmarks.report.table import format_seconds

LEAD = (
    "Trained networks by the number of their parameters: each stands in the smallest bracket that holds it. A row is "
    "the mean over its seeds of the metric on test data, which each run evaluates once, with the weights that were "
    "best on validation data. What a result says of itself was checked against its settings: the number of parameters, "
    "the scheme, the scores against the history, the data, and weights that lie beside it."
)
READING = (
    "The head of a column sorts by it. Rows of different epochs were not given the same budget; rows of different "
    "machines, or of machines that had other work, have times that are not a benchmark. The cost of a sequence does "
    "not depend on a machine."
)


@dataclass(frozen=True)
class _Shown:
    """A column and how its cell is made."""

    column: Column
    cell: Callable[[Entry], Cell]


def document_of(board: Board, origin: Mapping[str, str]) -> Document:
    """The page of a leaderboard.

    Args:
        board: its entries.
        origin: where it is from.
    """
    brackets = [(most, found) for most in (*BRACKETS, None) if (found := board.in_bracket(most))]
    sections = [
        Section("What leads", _summary(board)),
        *(Section(_heading(most), (), _table(most, found)) for most, found in brackets),
        *([Section("Refused", ("These files are not sound results.",), _refused(board))] if board.refused else []),
        Section("How to read it", (READING,)),
    ]
    facts = {"entries": f"{len(board.entries)}, of {sum(len(entry.results) for entry in board.entries)} runs"}
    return Document("Leaderboard by parameters", LEAD, facts | dict(origin), sections)


def _heading(most: int | None) -> str:
    return f"More than {BRACKETS[-1]:,} parameters" if most is None else f"At most {most:,} parameters"


def _summary(board: Board) -> list[str]:
    said = []
    for most in (*BRACKETS, None):
        leaders: dict[str, Entry] = {}
        for entry in board.in_bracket(most):
            if entry.tests:
                leaders.setdefault(entry.first.task, entry)
        if leaders:
            shown = ", ".join(f"{task}: {each.first.method} with {_mean(each)}" for task, each in leaders.items())
            said.append(f"{_heading(most)}: {shown}.")
    return said


def _mean(entry: Entry) -> str:
    return f"{entry.metric.text(statistics.fmean(entry.tests))} ({entry.metric.title}, n = {len(entry.tests)})"


def _table(most: int | None, entries: Sequence[Entry]) -> Table:
    shown = [*_names(), *_quality(), *_work()]
    name = f"more-than-{BRACKETS[-1]}" if most is None else f"up-to-{most}"
    return Table(name, [each.column for each in shown], [[each.cell(entry) for each in shown] for entry in entries])


def _names() -> list[_Shown]:
    return [
        _Shown(Column("task", "task", left=True, brief="task"), lambda entry: words(entry.first.task)),
        _Shown(Column("method", "method", left=True, brief="method"), lambda entry: words(entry.first.method)),
        _Shown(Column("row", "row", "Its file of settings.", left=True), lambda entry: words(entry.first.row)),
        _Shown(Column("field", "field", left=True), lambda entry: words(entry.first.field or NONE)),
        _Shown(Column("solver", "solver", left=True), lambda entry: words(entry.first.solver or NONE)),
    ]


def _quality() -> list[_Shown]:
    return [
        _Shown(Column("metric", "metric", left=True), lambda entry: words(entry.metric.label)),
        _Shown(Column("test", "test", "The mean over the seeds, those that diverged aside.", brief="test"), _test),
        _Shown(
            Column("spread", "±", "The sample standard deviation over the seeds.", brief="±"),
            lambda entry: _deviation(entry, entry.tests),
        ),
        _Shown(Column("validation", "validation", "The mean over the seeds, of the best epochs."), _validation),
        _Shown(Column("seeds", "n", "Seeds.", brief="n"), lambda entry: whole(len(entry.results))),
        _Shown(
            Column("diverged", "diverged", "Seeds of which the training diverged."),
            lambda entry: whole(len(entry.results) - len(entry.tests)),
        ),
        _Shown(
            Column("data", "data", "Whether the data files are the published ones, by their checksums.", left=True),
            lambda entry: words("published" if entry.published_data else "others"),
        ),
    ]


def _work() -> list[_Shown]:
    return [
        _Shown(Column("parameters", "parameters", brief="parameters"), lambda entry: whole(entry.first.parameters)),
        _Shown(Column("epochs", "epochs", brief="epochs"), lambda entry: whole(entry.first.epochs)),
        _Shown(
            Column("seconds", "time", "Training and validation of one run, the mean over the seeds.", brief="time"),
            _seconds,
        ),
        _Shown(
            Column(
                "evaluations",
                "evaluations",
                "Of the vector fields in a forward pass over one sequence, half a one where half of the state moves; "
                "of torch's layers, updates.",
                brief="evaluations",
            ),
            lambda entry: number(entry.cost.evaluations, ",.10g"),
        ),
        _Shown(
            Column(
                "flop",
                "MFLOP",
                "Of a forward pass over one sequence, in millions: two for each entry of a matrix that is not zero by "
                "construction, each time a vector is multiplied by it. Elementwise operations do not count.",
                brief="MFLOP",
            ),
            lambda entry: number(None if entry.cost.flop is None else entry.cost.flop / 1e6, ".3g"),
        ),
        _Shown(
            Column("commit", "commit", "Of the code that trained it, of the lowest seed.", left=True),
            lambda entry: words((entry.first.commit.id or NONE)[:12]),
        ),
    ]


def _test(entry: Entry) -> Cell:
    if not entry.tests:
        return Cell(None, "diverged")
    return _scaled(entry, statistics.fmean(entry.tests))


def _validation(entry: Entry) -> Cell:
    return _scaled(entry, statistics.fmean(entry.validations)) if entry.validations else Cell(None, NONE)


def _deviation(entry: Entry, values: Sequence[float]) -> Cell:
    return _scaled(entry, statistics.stdev(values)) if len(values) > 1 else Cell(None, NONE)


def _scaled(entry: Entry, value: float) -> Cell:
    return Cell(entry.metric.factor * value, entry.metric.cell(value))


def _seconds(entry: Entry) -> Cell:
    seconds = statistics.fmean(result.seconds.training for result in entry.results)
    return Cell(seconds, format_seconds(seconds))


def _refused(board: Board) -> Table:
    columns = [Column("file", "file", left=True, brief="file"), Column("reason", "why", left=True, brief="why")]
    return Table("refused", columns, [(words(str(each.path)), words(each.reason)) for each in board.refused])
