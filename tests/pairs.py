"""Few rows in place of a product: any two levels that meet in the product meet in one of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import combinations, product
from typing import Any

import pytest

Factors = Mapping[str, Sequence[Any]]


def cover(
    rows: Sequence[tuple[int, ...]], strength: int = 2, once: Collection[tuple[int, int]] = ()
) -> list[tuple[int, ...]]:
    """Some of the rows, in which every two entries of two columns meet that meet in any; the same ones every time.

    Greedy: each next row is the first of those with the most pairs that are missing still. With strength 1 every entry
    of a column is in one of the rows; so is each that `once` has, by its column and itself, which meets no other.
    """
    pairs = [_meetings(row, strength, once) for row in rows]
    missing = set().union(*pairs)
    # What a row adds only falls as others are chosen, so a row that keeps its place at the top is the best one.
    ranked = [(-len(each), k) for k, each in enumerate(pairs)]
    heapify(ranked)
    chosen = []
    while missing:
        known, k = ranked[0]
        new = -len(pairs[k] & missing)
        if new > known:
            heapreplace(ranked, (new, k))
            continue
        heappop(ranked)
        chosen.append(rows[k])
        missing -= pairs[k]
    return chosen


def _meetings(row: tuple[int, ...], strength: int, once: Collection[tuple[int, int]]) -> set[tuple[Any, ...]]:
    """What a row shows: the pairs of its entries that need one, and where some do not, each of its entries."""
    entries = list(enumerate(row))
    pairs = set(combinations((each for each in entries if each not in once), strength))
    return pairs | {(each,) for each in entries} if once else pairs


def crossed(
    factors: Factors,
    *,
    strength: int = 2,
    where: Callable[..., bool] | None = None,
    once: Factors | None = None,
    full: Factors | None = None,
) -> pytest.MarkDecorator:
    """Parametrise a test by pairs of the factors' levels; what the product has besides carries the marker `full`.

    Args:
        factors: the levels by the argument's name; of "field, solver" they are tuples. A level may be a pytest.param
            with marks of its own.
        strength: 2 for pairs; 1 for every level once.
        where: which rows there are, of one level a factor; None: all.
        once: levels of some factors that need be in one row only, whatever they meet there: as fields under an adjoint,
            which asks each for the same things.
        full: more levels of some factors, for the full product only.
    """
    every = {**factors, **(full or {})}
    whole = [
        row for row in product(*map(enumerate, every.values())) if where is None or where(*(_plain(v) for _, v in row))
    ]
    levels = {tuple(i for i, _ in row): tuple(level for _, level in row) for row in whole}
    known = [set(map(str, factor)) for factor in factors.values()]
    common = [key for key, row in levels.items() if all(str(v) in k for v, k in zip(row, known, strict=True))]
    alone = [set(map(str, (once or {}).get(name, ()))) for name in every]
    single = {(c, k) for c, factor in enumerate(every.values()) for k, v in enumerate(factor) if str(v) in alone[c]}
    few = cover(common, min(strength, len(every)), single)
    rest = levels.keys() - set(few)
    return pytest.mark.crossed(
        ", ".join(factors),
        [_row(levels[key]) for key in sorted(few)],
        lambda: [_row(levels[key], pytest.mark.full) for key in sorted(rest)],
    )


def chosen(names: str, rows: Sequence[Any], few: Callable[..., bool]) -> pytest.MarkDecorator:
    """Parametrise a test by those of the rows that `few` says are chosen; the others carry the marker `full`."""
    of_few = {True: list[Any](), False: list[Any]()}
    for row in rows:
        plain = _plain(row)
        of_few[few(*plain) if isinstance(plain, tuple) else few(plain)].append(row)
    return pytest.mark.crossed(
        names,
        [_row([row]) for row in of_few[True]],
        lambda: [_row([row], pytest.mark.full) for row in of_few[False]],
    )


def parametrise(metafunc: pytest.Metafunc) -> None:
    """Give a test the rows of its marker `crossed`; those of the full product only where they may be asked for.

    They are more than all other tests, and each worker would make them to throw them away.
    """
    left_out = "not full" in str(metafunc.config.getoption("markexpr"))
    for mark in metafunc.definition.iter_markers("crossed"):
        names, rows, rest = mark.args
        metafunc.parametrize(names, rows if left_out else rows + rest())


def _plain(level: Any) -> Any:
    """A level without its marks."""
    if not isinstance(level, _Marked):
        return level
    return level.values[0] if len(level.values) == 1 else level.values


def _row(levels: Sequence[Any], *marks: Any) -> Any:
    """A row as pytest takes it, its tuples flattened."""
    values: list[Any] = []
    for level in levels:
        if isinstance(level, _Marked):
            marks = (*marks, *level.marks)
            level = level.values
        values += level if isinstance(level, tuple) else (level,)
    return pytest.param(*values, id="-".join(str(each).removeprefix("torch.") for each in values), marks=marks)


_Marked = type(pytest.param(0))
