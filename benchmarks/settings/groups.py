"""Groups of tasks: the tables of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from benchmarks.settings.names import RunName, runs_of
from benchmarks.support.errors import UserError, nearest

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"table1": ("smnist", "pmnist"), "table2": ("pixel-cifar", "noise-padded-cifar")}
)

# An implicit step costs hundreds of explicit ones: these rows are trained only where they are asked for.
SLOW_ROWS = ("antisymmetric-implicit-midpoint",)
# The networks of other papers, at sizes that fit the smallest bracket of the leaderboard: trained where asked for, too.
LEADERBOARD_ROWS = ("cornn-64", "lipschitz-64", "unicornn-3x64", "lem-48", "rotation-72", "gru-58", "lstm-50")
# Others' own training of the paper's network.
NEIGHBOURS_ROWS = ("antisymmetric-noisyrnn",)
UNASKED = (*SLOW_ROWS, *LEADERBOARD_ROWS, *NEIGHBOURS_ROWS)
# The rows that the paper has come first, so that a table that is stopped early holds them.
PAPER_ROWS = ("antisymmetric", "gated", "lstm", "ablation")


def tasks_of(names: Sequence[str]) -> list[str]:
    """The tasks that names of tasks and of groups stand for, each once."""
    return list(dict.fromkeys(task for name in names for task in GROUPS.get(name, (name,))))


def rows_of(tasks: Sequence[str], wanted: Sequence[str] | None) -> list[RunName]:
    """The runs of some tasks: all but those that want asking for, or those rows that are wanted, the paper's first.

    Raises:
        UserError: no such task, or a row that one of the tasks has not.
    """
    names = [name for task in tasks for name in runs_of(task)]
    if wanted is None:
        return sorted((name for name in names if name.row not in UNASKED), key=_rank)
    for task in tasks:
        _check_rows(task, wanted)
    return sorted((name for name in names if name.row in wanted), key=_rank)


def _check_rows(task: str, wanted: Sequence[str]) -> None:
    there = [name.row for name in runs_of(task)]
    unknown = [row for row in wanted if row not in there]
    if unknown:
        near = nearest(unknown[0], there)
        raise UserError(f"`--rows` names {unknown[0]!r}, and {task} has no such row{near}; it has {', '.join(there)}")


def _rank(name: RunName) -> int:
    return PAPER_ROWS.index(name.row) if name.row in PAPER_ROWS else len(PAPER_ROWS)
