"""Bad input is refused before any work, naming the argument, what came, what was wanted and how to mend it."""

from math import inf, nan

import pytest
import torch
from torch import Tensor

from odernn import (
    FIELDS,
    ODERNN,
    AntisymmetricField,
    AntisymmetricRNN,
    HamiltonianField,
    RecurrentState,
    VectorField,
)
from solvers import DivergenceError, DivergenceWarning, Euler, Leapfrog
from solvers.extend import Time


def rnn(**changes: object) -> ODERNN:
    facts = {"field": AntisymmetricField(3, 6), "solver": Euler(), "dt": 0.1} | changes
    return ODERNN(facts.pop("field"), facts.pop("solver"), **facts)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"field": torch.nn.Linear(3, 6)}, TypeError, "`field` is Linear"),
        ({"solver": Euler}, TypeError, r"give an instance: Euler\(\)"),
        ({"solver": "rk5"}, ValueError, r"`solver` is 'rk5'; choose one of 'euler', .* \(did you mean 'rk4'\?\)"),
        ({"solver": 4}, TypeError, "`solver` is int"),
        ({"solver": Leapfrog()}, ValueError, "Leapfrog needs a partition .* AntisymmetricField declares none"),
        ({"dt": 0}, ValueError, "`dt` is 0; give a number above zero"),
        ({"dt": -0.5}, ValueError, "`dt` is -0.5"),
        ({"dt": 10**400}, ValueError, "`dt` is larger than any float"),
        ({"dt": nan}, ValueError, "`dt` is nan"),
        ({"dt": inf}, ValueError, "`dt` is inf"),
        ({"dt": True}, TypeError, "`dt` is True"),
        ({"dt": "fast"}, TypeError, "`dt` is 'fast'"),
        ({"dt": torch.ones(2, dtype=torch.int64)}, TypeError, "`dt` has dtype torch.int64"),
        ({"dt": torch.ones(2, 2, 2)}, ValueError, r"`dt` has shape \(2, 2, 2\)"),
        ({"dt": torch.tensor([1.0, 0.0])}, ValueError, r"`dt` has the entry 0.0 at \(1,\)"),
        ({"dt": torch.tensor([[1.0, nan]])}, ValueError, r"`dt` has the entry nan at \(0, 1\)"),
        ({"substeps": 0}, ValueError, "`substeps` is 0"),
        ({"substeps": 1.5}, TypeError, "`substeps` is 1.5"),
        ({"hold": "first-order"}, ValueError, "'zero-order', 'linear'"),
        ({"hold": 0}, TypeError, "`hold` is int"),
        ({"adjoint": "magic"}, ValueError, "'autograd'"),
        ({"adjoint": 1}, TypeError, "`adjoint` is 1"),
        ({"on_divergence": "stop"}, ValueError, "'raise', 'warn', 'ignore'"),
        ({"batch_first": 1}, TypeError, "`batch_first` is 1"),
        ({"check_input": "yes"}, TypeError, "`check_input` is 'yes'"),
    ],
)
def test_construction(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rnn(**changes)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[1.0]], TypeError, "`x` is list"),
        (torch.ones(3), ValueError, r"`x` has shape \(3,\); give \(time, batch, input\)"),
        (torch.ones(2, 2, 2, 3), ValueError, "`x` has shape"),
        (torch.ones(5, 4, 2), ValueError, "`x` has 2 features .* the field takes 3"),
        (torch.ones(5, 4, 3, dtype=torch.int64), TypeError, r"`x` has dtype torch.int64; .* `x.float\(\)`"),
        (torch.ones(5, 4, 3, dtype=torch.float64), ValueError, r"`x.to\(torch.float32\)`"),
        (torch.ones(5, 4, 3, device="meta"), ValueError, "`x` is on meta"),
        (torch.ones(0, 4, 3), ValueError, "at least one sample in time"),
        (
            torch.nested.nested_tensor([torch.ones(5, 3, 1), torch.ones(9, 3, 1)], layout=torch.jagged),
            TypeError,
            "`x` is nested",
        ),
        (torch.ones(5, 4, 3).to_sparse(), TypeError, "`x` is torch.sparse_coo"),
    ],
)
def test_input(x: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rnn()(x)


@pytest.mark.parametrize(
    ("y0", "error", "message"),
    [
        ([0.0], TypeError, "`y0` is list"),
        (torch.ones(4, 6), ValueError, r"`y0` has shape \(4, 6\); .* give \(1, 4, 6\)"),
        (torch.ones(1, 4, 5), ValueError, r"give \(1, 4, 6\)"),
        (torch.ones(1, 4, 6, dtype=torch.float64), ValueError, "`y0` has dtype torch.float64"),
        (torch.ones(1, 4, 6, device="meta"), ValueError, "`y0` is on meta"),
        (RecurrentState(torch.ones(3, 6)), ValueError, "continue with as many sequences"),
    ],
)
def test_start(y0: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rnn()(torch.ones(5, 4, 3), y0)


@pytest.mark.parametrize(
    ("dt", "message"),
    [
        (torch.ones(4), r"`dt` has shape \(4,\) .* give a number, \(5,\) or \(4, 5\)"),
        (torch.ones(5, 4), r"give a number, \(5,\) or \(4, 5\)"),
        (torch.ones(5, device="meta"), "`dt` is on meta and the state on cpu"),
        (0.0, "`dt` is 0.0"),
    ],
)
def test_steps_of_a_call(dt: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rnn()(torch.ones(5, 4, 3), dt=dt)


def test_save_has_two_values() -> None:
    with pytest.raises(ValueError, match="'trajectory', 'end'"):
        rnn()(torch.ones(5, 4, 3), save="last")


@pytest.mark.parametrize("x", [torch.ones(2, 2, 3), torch.ones(2)])
def test_one_sample(x: Tensor) -> None:
    with pytest.raises(ValueError, match="`x`"):
        rnn().step(x)


@pytest.mark.parametrize("name", FIELDS)
def test_fields(name: str) -> None:
    for sizes in ((0, 4), (3, 0), (3, -2)):
        with pytest.raises(ValueError, match="whole number from 1"):
            FIELDS[name](*sizes)
    with pytest.raises(TypeError, match=r"`hidden_size` is 2.0"):
        FIELDS[name](3, 2.0)
    for wrong in (-1.0, nan):
        with pytest.raises(ValueError, match="`sigma_w`"):
            FIELDS[name](3, 4, sigma_w=wrong)
        with pytest.raises(ValueError, match="`sigma_v`"):
            FIELDS[name](3, 4, sigma_v=wrong)


def test_damping_is_not_negative() -> None:
    with pytest.raises(ValueError, match=r"`damping` is -0.1"):
        AntisymmetricField(3, 6, damping=-0.1)


def test_a_partition_wants_an_even_size() -> None:
    with pytest.raises(ValueError, match=r"`hidden_size` is 5; .* give an even number"):
        HamiltonianField(3, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"epsilon": 0.0}, "`epsilon`"), ({"gamma": -1.0}, "`gamma`"), ({"epsilon": nan}, "`epsilon`")],
)
def test_the_papers_symbols_are_named(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AntisymmetricRNN(3, 6, **({"epsilon": 0.1, "gamma": 0.1} | changes))


def test_input_that_is_not_finite_is_named_when_asked() -> None:
    x = torch.randn(5, 4, 3)
    x[2, 1, 0], x[2, 3, 1], x[4, 0, 0] = nan, inf, nan
    with pytest.raises(ValueError, match="first in sample 1 of the batch at step 2"):
        rnn(check_input=True)(x)
    with pytest.raises(ValueError, match="first in sample 1 of the batch at step 2"):
        rnn(check_input=True, batch_first=True)(x.transpose(0, 1))


class Explosive(VectorField):
    """dy/dt = y^2 + u."""

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return y * y + u


def test_divergence_is_an_error_of_its_own() -> None:
    layer = ODERNN(Explosive(1, 1), Euler(), dt=0.5, substeps=2)
    with pytest.raises(DivergenceError, match=r"Euler diverged at step .* the norm of the state before it") as caught:
        layer(torch.full((40, 2, 1), 3.0))
    assert caught.value.step is not None
    assert caught.value.time == pytest.approx(0.25 * caught.value.step)
    with pytest.raises(DivergenceError):
        layer(torch.full((40, 2, 1), 3.0), save="end")


def test_divergence_may_be_flagged() -> None:
    with pytest.warns(DivergenceWarning, match="diverged at step"):
        ODERNN(Explosive(1, 1), Euler(), dt=0.5, on_divergence="warn")(torch.full((40, 2, 1), 3.0))
    _, y_n = ODERNN(Explosive(1, 1), Euler(), dt=0.5, on_divergence="ignore")(torch.full((40, 2, 1), 3.0))
    assert not torch.isfinite(y_n).all()
