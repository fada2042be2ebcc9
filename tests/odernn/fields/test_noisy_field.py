"""NoisyField: noise in training alone, seeds, streaming, gradients, whole paths, what it refuses."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN, AntisymmetricField, NoisyField, RecurrentState, VectorField
from solvers import RK4, Euler, EulerMaruyama, Heun, Solver, StochasticHeun, integrate, sde_paths
from solvers.extend import Time

DOUBLE = torch.float64
METHODS: dict[str, tuple[Solver, Solver]] = {
    "euler-maruyama": (EulerMaruyama(), Euler()),
    "stochastic-heun": (StochasticHeun(), Heun()),
}


def noisy(field: str = "antisymmetric", **scales: Any) -> NoisyField:
    torch.manual_seed(0)
    return NoisyField(FIELDS[field](2, 4, dtype=DOUBLE), **({"additive": 0.3, "multiplicative": 0.2} | scales))


def layer(field: VectorField, solver: Solver, adjoint: str = "autograd", hold: str = "linear") -> ODERNN:
    return ODERNN(field, solver, dt=0.2, substeps=2, hold=hold, adjoint=adjoint)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("field", FIELDS)
def test_in_evaluation_it_is_the_field_without_noise_to_the_bit(field: str, method: str) -> None:
    stochastic, plain = METHODS[method]
    rnn, x = layer(noisy(field), stochastic), torch.randn(6, 3, 2, dtype=DOUBLE)
    assert isinstance(rnn.field, NoisyField)
    exact, _ = layer(rnn.field.field, plain)(x)
    assert torch.equal(rnn.eval()(x)[0], exact)
    assert not torch.equal(rnn.train()(x)[0], exact)


@pytest.mark.parametrize("method", METHODS)
def test_the_paper_s_update_with_noise(method: str) -> None:
    """The increments given, one step is dt f + (additive + multiplicative y) dW, from the zero state."""
    solver, plain = METHODS[method]
    field = noisy(multiplicative=0.0, increments=lambda t, dt, y: torch.full_like(y, 0.7))
    x = torch.randn(1, 3, 2, dtype=DOUBLE)
    drift = ODERNN(field.field, plain, dt=0.1)(x)[0]
    got = ODERNN(field, solver, dt=0.1)(x)[0]
    if method == "euler-maruyama":
        torch.testing.assert_close(got, drift + 0.3 * 0.7)
    u = field.control(x[0])
    ahead = 0.1 * field.field(0.0, torch.zeros(3, 4, dtype=DOUBLE), u) + 0.3 * 0.7
    heun = 0.05 * (field.field(0.0, torch.zeros(3, 4, dtype=DOUBLE), u) + field.field(0.0, ahead, u)) + 0.3 * 0.7
    torch.testing.assert_close(got[0], heun if method == "stochastic-heun" else ahead)


@pytest.mark.parametrize("method", METHODS)
def test_seeds_reproduce_and_runs_differ(method: str) -> None:
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    rnn = layer(noisy(), METHODS[method][0])
    torch.manual_seed(3)
    first, second = rnn(x)[0], rnn(x)[0]
    torch.manual_seed(3)
    assert torch.equal(rnn(x)[0], first)
    assert not torch.equal(first, second)
    own = [layer(noisy(generator=torch.Generator().manual_seed(4)), METHODS[method][0])(x)[0] for _ in range(2)]
    assert torch.equal(*own)


@pytest.mark.parametrize("method", METHODS)
def test_any_split_meets_the_same_noise(method: str) -> None:
    rnn, x = layer(noisy(), METHODS[method][0]), torch.randn(9, 3, 2, dtype=DOUBLE)
    torch.manual_seed(3)
    whole, _ = rnn(x, rnn.initial_state(3))
    torch.manual_seed(3)
    state, parts = rnn.initial_state(3), []
    for start, stop in ((0, 1), (1, 4), (4, 9)):
        part, state = rnn(x[start:stop], state)
        parts.append(part)
        torch.manual_seed(start)  # what happens elsewhere does not matter
        state = state.detach()
    # one product over all times against several: the library may sum in another order
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-13)
    assert isinstance(state, RecurrentState)
    assert state.carry is not None
    assert state.carry[1] == 18  # steps taken


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("adjoint", ["autograd", "discrete", "checkpointed", "auto"])
def test_gradients_flow_through_drift_and_diffusion(method: str, adjoint: str) -> None:
    field = noisy()
    names = [f"field.{name}" for name, _ in field.named_parameters()]
    rnn = layer(field, METHODS[method][0], adjoint)

    def call(x: Tensor, y0: Tensor, *parameters: Tensor) -> Tensor:
        torch.manual_seed(6)
        return torch.func.functional_call(rnn, dict(zip(names, parameters, strict=True)), (x, y0))[0]

    def fresh(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=DOUBLE).requires_grad_()

    arguments = (fresh(3, 2, 2), fresh(1, 2, 4), *(p.detach().clone().requires_grad_() for p in field.parameters()))
    assert torch.autograd.gradcheck(call, arguments, fast_mode=True)


@pytest.mark.parametrize("method", METHODS)
def test_on_given_increments_a_batch_of_one_gives_the_rows_of_a_batch_of_eight(method: str) -> None:
    """Drawn noise differs by the batch, as documented; the paths given, nothing does."""
    path = torch.randn(6, 8, 4, dtype=DOUBLE)  # three samples of two steps of 0.1
    rows = slice(None)

    def increments(t: Time, dt: Time, y: Tensor) -> Tensor:
        return path[round(float(t) / 0.1), rows]

    rnn = layer(noisy(increments=increments), METHODS[method][0])
    x = torch.randn(3, 8, 2, dtype=DOUBLE)
    together, _ = rnn(x)
    for b in range(8):
        rows = slice(b, b + 1)
        # products of one row or eight are summed otherwise
        torch.testing.assert_close(rnn(x[:, rows])[0], together[:, rows], rtol=0, atol=1e-13)


def test_noise_from_sample_to_sample_has_the_stated_size() -> None:
    """A field at rest: after time t the variance of a unit is additive^2 t."""
    field = noisy(multiplicative=0.0)
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.zero_()
    output, _ = ODERNN(field, EulerMaruyama(), dt=0.5)(torch.zeros(4, 3000, 2, dtype=DOUBLE))
    for n, y in enumerate(output, start=1):
        assert float(y.detach().std()) == pytest.approx(0.3 * sqrt(0.5 * n), rel=0.03)  # 12,000 draws: 4 x 0.6%


def test_a_field_s_equation_by_integrate_and_by_torchsde() -> None:
    """The mean and spread of two independent sets of paths, of one equation in Stratonovich's sense."""
    field = noisy().requires_grad_(False)
    equation = field.equation(torch.randn(1, 2, dtype=DOUBLE).expand(4000, 2))
    y0 = torch.zeros(4000, 4, dtype=DOUBLE)
    ours = integrate(equation, y0, t1=1.0, dt=0.05, solver=StochasticHeun(), save="end").y
    theirs = sde_paths(equation, y0, [0.0, 1.0], dt=0.05, calculus="stratonovich", method="heun", seed=1)[-1]
    error = ours.std(0) / sqrt(4000)
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 4 * sqrt(2) * error).all()
    torch.testing.assert_close(ours.std(0), theirs.std(0), rtol=0.09, atol=0)  # four standard errors of a ratio


def test_modules_ways() -> None:
    field = noisy()
    assert next(name for name, _ in field.named_parameters()).startswith("field.")
    assert {id(p) for p in field.parameters()} == {id(p) for p in field.field.parameters()}
    assert "additive=0.3, multiplicative=0.2" in repr(field)
    rnn = ODERNN(field, EulerMaruyama(), dt=0.1)
    assert rnn.eval().field.diffusion().active is False
    assert rnn.train().field.diffusion().active is True


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda inner: NoisyField(torch.nn.Linear(2, 2)), TypeError, "`field` is Linear"),
        (lambda inner: NoisyField(NoisyField(inner)), ValueError, "the field within"),
        (lambda inner: NoisyField(inner, additive=-0.1), ValueError, "`additive` is -0.1"),
        (lambda inner: NoisyField(inner, multiplicative=float("nan")), ValueError, "`multiplicative` is nan"),
        (
            lambda inner: NoisyField(inner, generator=torch.Generator(), increments=lambda t, dt, y: y),
            ValueError,
            "give one",
        ),
        (lambda inner: ODERNN(NoisyField(inner), RK4(), dt=0.1), ValueError, "RK4 has no place for the noise of Noisy"),
        (lambda inner: ODERNN(inner, EulerMaruyama(), dt=0.1), ValueError, "AntisymmetricField declares none"),
    ],
)
def test_what_it_refuses(make: Callable[[VectorField], object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make(AntisymmetricField(2, 4))
