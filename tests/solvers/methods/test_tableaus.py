"""Law: a tableau's nodes are its row sums and every order condition holds; a wrong tableau cannot be written down."""

from dataclasses import replace
from math import inf

import pytest

from solvers import RK4, SOLVERS, ButcherTableau, ExplicitRungeKutta, make_solver
from solvers.methods.order_conditions import residuals, rooted_trees

TABLEAUS = [name for name in SOLVERS if issubclass(SOLVERS[name], ExplicitRungeKutta)]
ROUNDING = 1e-14  # sums of at most a dozen products of numbers of size one


def tableau(name: str) -> ButcherTableau:
    solver = make_solver(name)
    assert isinstance(solver, ExplicitRungeKutta)
    return solver.tableau


def test_rooted_trees_are_as_many_as_known() -> None:
    assert [len(rooted_trees(nodes)) for nodes in range(1, 8)] == [1, 1, 2, 4, 9, 20, 48]  # OEIS A000081


@pytest.mark.parametrize("name", TABLEAUS)
def test_nodes_are_row_sums(name: str) -> None:
    for row, node in zip(tableau(name).a, tableau(name).c, strict=True):
        assert sum(row) == pytest.approx(node, abs=ROUNDING)


@pytest.mark.parametrize("name", TABLEAUS)
def test_order_conditions_hold_up_to_the_order_and_not_beyond(name: str) -> None:
    mine = tableau(name)
    assert max(map(abs, residuals(mine.a, mine.b, mine.order).values())) < ROUNDING
    assert max(map(abs, residuals(mine.a, mine.b, mine.order + 1).values())) > 1e-3


def perturbed(rows: tuple[tuple[float, ...], ...], i: int, j: int, by: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(x + by * (i == k and j == m) for m, x in enumerate(row)) for k, row in enumerate(rows))


@pytest.mark.parametrize("by", [1e-3, -0.1])
def test_a_misprint_in_any_coefficient_is_refused(by: float) -> None:
    good = RK4.tableau
    for i in range(4):
        with pytest.raises(ValueError, match="order condition"):
            replace(good, b=tuple(x + by * (i == k) for k, x in enumerate(good.b)))
        with pytest.raises(ValueError, match=rf"`c\[{i}\]`"):
            replace(good, c=tuple(x + by * (i == k) for k, x in enumerate(good.c)))
        for j in range(i):
            with pytest.raises(ValueError, match="sums to"):
                replace(good, a=perturbed(good.a, i, j, by))
            shifted = tuple(x + by * (i == k) for k, x in enumerate(good.c))
            with pytest.raises(ValueError, match="order condition"):
                replace(good, a=perturbed(good.a, i, j, by), c=shifted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": ()}, "`b` is empty"),
        ({"c": (0.0,)}, "`c` has 1 rows"),
        ({"a": ((), (1.0, 0.0))}, r"`a\[1\]` has 2 entries"),
        ({"b": (0.5, inf)}, r"`b\[1\]` is inf"),
        ({"order": 0}, "`order` is 0"),
        ({"order": 3}, "state a lower order"),
    ],
)
def test_bad_tableaus_are_named(changes: dict[str, object], message: str) -> None:
    facts = {"order": 2, "a": ((), (1.0,)), "b": (0.5, 0.5), "c": (0.0, 1.0)} | changes
    with pytest.raises(ValueError, match=message):
        ButcherTableau(**facts)


def test_a_coefficient_is_a_number() -> None:
    with pytest.raises(TypeError, match=r"`b\[0\]`"):
        ButcherTableau(order=1, a=((),), b=("1",), c=(0,))  # pyright: ignore[reportArgumentType]


def test_an_order_whose_conditions_nobody_would_wait_for_is_refused() -> None:
    stages = 30
    with pytest.raises(ValueError, match="`order` is too large"):
        ButcherTableau(stages, tuple((0.0,) * i for i in range(stages)), (1 / stages,) * stages, (0.0,) * stages)
