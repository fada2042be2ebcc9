"""odeint() with method="explicit_adams" against the installed torchdiffeq; its weights; the grids that it refuses."""

from fractions import Fraction
from math import log2
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

from solvers import odeint
from solvers.odeint.adams_weights import adams_bashforth_weights

DOUBLE = torch.float64
METHOD = "explicit_adams"
# The weights of order 11 add up to 591 in modulus, and every step takes the sum of a dozen rounded numbers.
ROUNDING: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}

STEPS = 16  # two of the start, orders 3 to 11, and five more of the highest order
OPTIONS: dict[str, dict[str, Any]] = {
    "own": {},
    "order-3": {"max_order": 4},
    "order-6": {"max_order": 7},
    "step": {"step_size": 0.025, "max_order": 6},  # two steps from one time to the next
    "between": {"step_size": 0.04, "max_order": 5},  # divides the span and not the distances
    "cubic": {"step_size": 0.04, "max_order": 5, "interp": "cubic"},
    "perturb": {"perturb": True},
}


class Net(torch.nn.Module):
    """A small network that time drives, slow enough for order 11 to be stable at the step of these tests."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(3, 8, dtype=DOUBLE)
        self.outer = torch.nn.Linear(8, 3, dtype=DOUBLE)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return 0.1 * self.outer(torch.tanh(self.inner(y) * torch.cos(3 * t))) - 0.03 * y * t


def times(direction: int = 1) -> Tensor:
    return direction * torch.linspace(0.2, 1.0, STEPS + 1, dtype=DOUBLE)


def gradients(solve: Any, net: Net, t: Tensor, options: dict[str, Any]) -> tuple[Tensor, ...]:
    """The path and the gradients with respect to y0, t and the parameters."""
    generator = torch.Generator().manual_seed(1)
    y0 = torch.randn(4, 3, dtype=DOUBLE, generator=generator).requires_grad_()
    t = t.clone().requires_grad_()
    path = solve(net, y0, t, method=METHOD, options=dict(options))
    loss = (path.sin() * torch.arange(1.0, 1 + len(t), dtype=DOUBLE).view(-1, 1, 1)).sum()
    return path, *torch.autograd.grad(loss, (y0, t, *net.parameters()))


@pytest.mark.parametrize("direction", [1, -1], ids=["increasing", "decreasing"])
@pytest.mark.parametrize("options", OPTIONS)
def test_numbers_and_gradients_are_those_of_torchdiffeq(options: str, direction: int) -> None:
    net = Net()
    ours = gradients(odeint, net, times(direction), OPTIONS[options])
    theirs = gradients(torchdiffeq.odeint, net, times(direction), OPTIONS[options])
    for got, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)


@pytest.mark.parametrize("perturb", [False, True])
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("at", [1, 6])
def test_a_jump_at_a_grid_point_falls_on_the_same_side(at: int, direction: int, perturb: bool) -> None:
    t = times(direction)
    jump = t[at]

    def f(time: Tensor, y: Tensor) -> Tensor:
        return torch.where(time >= jump, 1.0 + y, -0.2 * y)

    y0, options = torch.tensor([0.2, -0.1], dtype=DOUBLE), {"perturb": perturb, "max_order": 6}
    ours = odeint(f, y0, t, method=METHOD, options=options)
    torch.testing.assert_close(ours, torchdiffeq.odeint(f, y0, t, method=METHOD, options=options), **ROUNDING)


def test_tuple_and_complex_states() -> None:
    a = torch.randn(2, 3, dtype=DOUBLE)
    b = torch.randn((), dtype=DOUBLE)

    def pair(time: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return 0.1 * state[1] * state[0].cos(), 0.1 * (state[0].sum() - time)

    ours = odeint(pair, (a, b), times(), method=METHOD)
    for got, wanted in zip(ours, torchdiffeq.odeint(pair, (a, b), times(), method=METHOD), strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)
    rates, y0 = torch.tensor([0.1j, -0.02 + 0.2j], dtype=torch.complex128), torch.randn(2, dtype=torch.complex128)
    path = odeint(lambda t, y: rates * y * torch.cos(t), y0, times(), method=METHOD)
    theirs = torchdiffeq.odeint(lambda t, y: rates * y * torch.cos(t), y0, times(), method=METHOD)
    torch.testing.assert_close(path, theirs, **ROUNDING)


def test_single_precision_states_with_single_and_double_times() -> None:
    y0 = torch.randn(5)
    for t in (times(), times().float()):
        ours = odeint(lambda time, y: 0.1 * y.sin() + time, y0, t, method=METHOD)
        theirs = torchdiffeq.odeint(lambda time, y: 0.1 * y.sin() + time, y0, t, method=METHOD)
        assert isinstance(ours, Tensor)
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)  # weights of 591, each to 6e-8


@pytest.mark.parametrize(("max_order", "order"), [(4, 3), (5, 4), (7, 4)])
def test_order(max_order: int, order: int) -> None:
    """The one step of order 3 leaves an error of order 4, which no later step takes back."""

    def f(t: Tensor, y: Tensor) -> Tensor:
        return torch.cos(3 * t) * y.sin() - 0.3 * y

    y0 = torch.tensor([0.7, -1.2], dtype=DOUBLE)
    exact = odeint(f, y0, torch.linspace(0, 1, 1001, dtype=DOUBLE), method="rk4")[-1]  # off by 1e-13

    def error(count: int) -> float:
        t = torch.linspace(0, 1, count + 1, dtype=DOUBLE)
        return float((odeint(f, y0, t, method=METHOD, options={"max_order": max_order})[-1] - exact).abs().max())

    assert log2(error(80) / error(160)) == pytest.approx(order, abs=0.2)  # the next term of the error


@pytest.mark.parametrize("order", range(1, 12))
def test_weights_integrate_every_polynomial_below_the_order(order: int) -> None:
    weights = adams_bashforth_weights(order)
    assert len(weights) == order
    for power in range(order):
        assert sum(w * Fraction(-j) ** power for j, w in enumerate(weights)) == Fraction(1, power + 1)
    assert sum(w * Fraction(-j) ** order for j, w in enumerate(weights)) != Fraction(1, order + 1)


def test_how_little_of_the_negative_axis_order_11_leaves() -> None:
    """The docstring's number: the mode (-1)^n is neutral at z = -2 / sum |weight|."""
    weights = adams_bashforth_weights(11)
    assert float(2 / sum(map(abs, weights))) == pytest.approx(0.0034, abs=5e-5)
    assert all(w * (-1) ** j > 0 for j, w in enumerate(weights))


def test_one_evaluation_a_step_after_the_start() -> None:
    calls: list[Tensor] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        calls.append(t)
        return -y

    odeint(f, torch.ones(2, dtype=DOUBLE), times(), method=METHOD)
    assert len(calls) == 2 * 4 + (STEPS - 2)


SHORT = torch.ones(2, dtype=DOUBLE)


@pytest.mark.parametrize(
    ("t", "options", "message"),
    [
        ([0.0, 0.1, 0.3], {}, "step 0 of the grid is 0.1 long where the mean is 0.15"),
        ([0.0, 1.0], {"step_size": 0.3}, "give a `step_size` that divides the span"),
        ([0.0, 1.0], {"grid_constructor": lambda f, y, t: t.new_tensor([0, 0.5, 0.75, 1])}, "weights for even steps"),
        ([0.0, 1.0], {"max_order": 13}, "`max_order` is 13; give 4 to 12"),
        ([0.0, 1.0], {"max_order": 3}, "for less the method 'rk4'"),
    ],
)
def test_what_would_be_wrong_is_refused(t: list[float], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        odeint(lambda t, y: y, SHORT, torch.tensor(t, dtype=DOUBLE), method=METHOD, options=options)


def test_an_order_is_a_whole_number() -> None:
    with pytest.raises(TypeError, match=r"`max_order` is 5\.0"):
        odeint(lambda t, y: y, SHORT, torch.arange(3.0), method=METHOD, options={"max_order": 5.0})


def test_even_times_in_single_precision_are_even() -> None:
    t = torch.linspace(0, 3, 2001)  # steps that differ by 2e-7 / 1.5e-3
    ours = odeint(lambda time, y: -0.1 * y, torch.ones(1), t, method=METHOD, options={"max_order": 5})
    torch.testing.assert_close(ours[-1], torch.exp(torch.tensor([-0.3])), rtol=1e-4, atol=0)  # 2000 roundings
