"""The rows that stand in place of a product: every pair is there, and few more rows than pairs ask for."""

from itertools import combinations, product
from types import SimpleNamespace
from typing import Any

import pytest

from tests.pairs import chosen, cover, crossed, parametrise

MARKED = pytest.param("native", marks=pytest.mark.kernels)


@pytest.mark.parametrize(
    ("sizes", "most"), [((31, 2, 2, 2, 2), 62), ((6, 3, 3, 3), 20), ((3, 3, 3, 3), 12), ((2, 5), 10)]
)
def test_every_pair_of_levels_meets(sizes: tuple[int, ...], most: int) -> None:
    rows = cover(list(product(*map(range, sizes))))
    for i, j in combinations(range(len(sizes)), 2):
        assert {(row[i], row[j]) for row in rows} == set(product(range(sizes[i]), range(sizes[j])))
    assert len(rows) <= most
    assert rows == cover(list(product(*map(range, sizes))))


def test_with_strength_one_every_level_is_there() -> None:
    rows = cover(list(product(range(3), range(5), range(2))), strength=1)
    assert len(rows) == 5
    assert [{row[k] for row in rows} for k in range(3)] == [set(range(3)), set(range(5)), set(range(2))]


def test_what_is_wanted_once_needs_no_pair() -> None:
    rows = cover(list(product(range(13), range(3), range(2))), once={(0, k) for k in range(1, 13)})
    assert {row[0] for row in rows} == set(range(13))
    assert {row[1:] for row in rows} == set(product(range(3), range(2)))
    assert {row[1] for row in rows if row[0] == 0} == set(range(3))
    assert len(rows) <= 15  # twelve that are wanted once, and three with the one that is to meet every other


def test_one_factor_has_all_its_levels() -> None:
    assert [row.values for row in crossed({"solver": "xyz"}).args[1]] == [("x",), ("y",), ("z",)]


def rows_of(*arguments: Any, **options: Any) -> dict[tuple[Any, ...], list[str]]:
    """The rows of `crossed` with the names of their marks."""
    _, few, rest = crossed(*arguments, **options).args
    rows = few + rest()
    assert len({row.id for row in rows}) == len(rows)
    return {row.values: [mark.name for mark in row.marks] for row in rows}


def test_the_rest_of_the_product_is_marked() -> None:
    rows = rows_of({"field, solver": [("a", "b"), ("c", "d")], "hold": "xyz", "dtype": "uv"})
    assert rows["a", "b", "x", "u"] == []
    assert sorted(map(len, rows.values())) == [0] * 6 + [1] * 6
    assert {mark for marks in rows.values() for mark in marks} == {"full"}


def test_there_are_no_rows_that_are_ruled_out() -> None:
    rows = rows_of({"hold": "xyz", "dtype": "uv"}, where=lambda hold, dtype: hold + dtype != "xu")
    assert ("x", "u") not in rows
    assert len(rows) == 5


def test_the_full_product_may_have_more_levels() -> None:
    rows = rows_of({"hold": "xy", "dtype": "uv"}, full={"hold": "xyz"})
    assert {row for row, marks in rows.items() if marks} == {("z", "u"), ("z", "v")}


def test_levels_that_are_wanted_once_are_told_by_their_factor() -> None:
    rows = rows_of({"field": "abcdef", "solver": "xyz"}, once={"field": "abcdef"})
    few = [row for row, marks in rows.items() if not marks]
    assert len(few) == 6
    assert {field for field, _ in few} == set("abcdef")
    assert {solver for _, solver in few} == set("xyz")
    assert len(rows) == 18


@pytest.mark.parametrize(("expression", "whole"), [("not full", False), ("full", True), ("", True), (None, True)])
def test_the_rest_is_made_where_it_may_be_asked_for(expression: str | None, whole: bool) -> None:
    made: list[Any] = []
    mark = crossed({"hold": "xyz", "dtype": "uv", "save": "ab"}).mark
    definition = SimpleNamespace(iter_markers=lambda name: [mark] if name == "crossed" else [])
    config = SimpleNamespace(getoption=lambda name: expression if name == "markexpr" else None)
    metafunc: Any = SimpleNamespace(config=config, definition=definition, parametrize=lambda _, rows: made.extend(rows))
    parametrise(metafunc)
    assert (len(made) == 12) == whole
    assert any(row.marks for row in made) == whole


def test_a_row_is_ruled_out_by_levels_without_their_marks() -> None:
    seen: list[Any] = []
    twins = pytest.param(1, 2, marks=pytest.mark.kernels)
    crossed({"engine": [MARKED], "a, b": [twins]}, where=lambda *row: not seen.append(row))
    assert seen == [("native", (1, 2))]


def test_a_level_keeps_its_marks() -> None:
    rows = rows_of({"engine": ["torch", MARKED], "hold": "xy"})
    assert rows == {("torch", "x"): [], ("torch", "y"): [], ("native", "x"): ["kernels"], ("native", "y"): ["kernels"]}


def test_rows_that_are_chosen_leave_the_others_to_the_full_product() -> None:
    mark = chosen("name", ["few", "more", MARKED], lambda name: name != "more").mark
    names, few, rest = mark.args
    assert names == "name"
    assert [(row.values, row.id, [each.name for each in row.marks]) for row in few] == [
        (("few",), "few", []),
        (("native",), "native", ["kernels"]),
    ]
    assert [(row.values, [each.name for each in row.marks]) for row in rest()] == [(("more",), ["full"])]
