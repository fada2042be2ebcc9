"""Which schemes take part: those that take the field, the network's own first, the others with their reason."""

import pytest

from benchmarks.compare.schemes import DEFAULT, choose, refusal_of, solver_names
from benchmarks.support.errors import UserError
from odernn import FIELDS, ODERNN
from solvers import SOLVERS


def test_all_is_the_registry() -> None:
    assert solver_names("all") == list(SOLVERS)


def test_a_name_counts_once() -> None:
    assert solver_names("rk4,euler,rk4,") == ["rk4", "euler"]


@pytest.mark.parametrize(
    ("asked", "meant"), [("rk5", "rk4"), ("Leapfrog", "leapfrog"), ("implicit_midpoint", "implicit-")]
)
def test_an_unknown_solver_suggests_the_nearest(asked: str, meant: str) -> None:
    with pytest.raises(UserError, match=rf"`--solvers` names '{asked}' \(did you mean '{meant}.*'\?\); choose"):
        solver_names(f"euler,{asked}")


def test_a_name_like_no_other_suggests_nothing() -> None:
    with pytest.raises(UserError, match=r"names 'xyzzy'; choose from euler, "):
        solver_names("xyzzy")


def test_no_name_is_an_error() -> None:
    with pytest.raises(UserError, match="`--solvers` names none"):
        solver_names(",")


@pytest.mark.parametrize("name", FIELDS)
def test_of_the_default_list_eight_take_any_field(name: str) -> None:
    rnn = ODERNN(FIELDS[name](1, 4), "euler", dt=0.1)
    schemes, left_out = choose(("euler", 1), DEFAULT, [1], refusal_of(rnn))
    assert len(schemes) >= 8
    assert {scheme.name for scheme in schemes} | {each.name for each in left_out} == set(DEFAULT)


def test_the_own_scheme_is_first_and_there_once() -> None:
    rnn = ODERNN(FIELDS["hamiltonian"](1, 4), "leapfrog", dt=0.1, substeps=2)
    schemes, _ = choose(("leapfrog", 2), ["euler", "leapfrog"], [1, 2, 2], refusal_of(rnn))
    assert [scheme.label for scheme in schemes] == ["leapfrog ×2", "euler", "euler ×2", "leapfrog"]
    assert [scheme.own for scheme in schemes] == [True, False, False, False]


def test_the_reason_names_the_solver_and_the_field() -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](1, 4), "euler", dt=0.1)
    _, (left_out,) = choose(("euler", 1), ["leapfrog"], [1, 2], refusal_of(rnn))
    assert left_out.name == "leapfrog"
    assert "Leapfrog needs a partition" in left_out.reason
    assert "AntisymmetricField" in left_out.reason


def test_the_weights_are_shared() -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](1, 4), "euler", dt=0.1)
    schemes, _ = choose(("euler", 1), ["rk4"], [3], refusal_of(rnn))
    other = schemes[1].step(rnn)
    assert other.field is rnn.field
    assert (type(other.solver).__name__, other.substeps, other.dt) == ("RK4", 3, rnn.dt)
