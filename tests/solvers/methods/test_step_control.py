"""What step-size control cannot do is refused in words and in no time: half precision, tolerances below a rounding."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField
from solvers import Continuous, Euler, Solver, TorchdiffeqSolver, integrate, odeint

HALF = (torch.float16, torch.bfloat16)
BY_ERROR = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun", "implicit_adams")


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def solver(method: str, rtol: float = 1e-7, atol: float = 1e-9) -> TorchdiffeqSolver:
    return TorchdiffeqSolver(method, rtol=rtol, atol=atol, steps=5 if method == "implicit_adams" else 1)


def through_integrate(method: str, dtype: torch.dtype) -> object:
    return integrate(decay, torch.ones(3, dtype=dtype), t1=1.0, dt=0.5, solver=solver(method))


def through_odeint(method: str, dtype: torch.dtype) -> object:
    return odeint(decay, torch.ones(3, dtype=dtype), torch.linspace(0, 1, 5), method=method)


def through_the_layer(method: str, dtype: torch.dtype) -> object:
    return ODERNN(AntisymmetricField(3, 8, dtype=dtype), solver(method), dt=0.1)(torch.randn(4, 2, 3, dtype=dtype))


def through_a_stream(method: str, dtype: torch.dtype) -> object:
    return ODERNN(AntisymmetricField(3, 8, dtype=dtype), solver(method), dt=0.1).stream(2)(
        torch.randn(2, 3, dtype=dtype)
    )


def through_the_continuous_adjoint(method: str, dtype: torch.dtype) -> object:
    y0 = torch.ones(3, dtype=dtype, requires_grad=True)
    return integrate(decay, y0, t1=1.0, dt=0.5, solver=Euler(), adjoint=Continuous(solver(method)))


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("method", BY_ERROR)
@pytest.mark.parametrize(
    "way",
    [through_integrate, through_odeint, through_the_layer, through_a_stream, through_the_continuous_adjoint],
    ids=lambda way: way.__name__,
)
def test_half_precision_is_refused(way: Callable[[str, torch.dtype], object], method: str, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=rf"`y0` is {dtype}.*torch.float32"):
        way(method, dtype)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("fixed", ["euler", "midpoint", "heun2", "heun3", "rk4"])
def test_fixed_steps_take_half_precision(fixed: str, dtype: torch.dtype) -> None:
    y = integrate(decay, torch.ones(3, dtype=dtype), t1=0.1, dt=0.1, solver=TorchdiffeqSolver(fixed)).y[-1]
    # Euler's own error is 0.005; a state below one is stored within 2^-9 in bfloat16, and a step has a few roundings
    torch.testing.assert_close(y.double(), torch.full((3,), 0.9048, dtype=torch.float64), rtol=0, atol=0.015)


@pytest.mark.parametrize(
    ("method", "rtol", "atol", "size"),
    [
        ("dopri5", 1e-9, 1e-9, 1.0),
        ("dopri8", 1e-9, 1e-9, 1.0),
        ("dopri5", 1e-12, 1e-30, 1e-6),
        ("bosh3", 1e-8, 1e-8, 10.0),
    ],
)
def test_a_tolerance_below_the_rounding_of_the_state_is_refused(
    method: str, rtol: float, atol: float, size: float
) -> None:
    evaluations: list[Tensor] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        evaluations.append(t)
        return -y

    y0, below = torch.full((3,), size), rf"`rtol` = {rtol:.3g} and `atol` = {atol:.3g} .* torch.float64"
    with pytest.raises(ValueError, match=below):
        integrate(f, y0, t1=1.0, dt=1.0, solver=TorchdiffeqSolver(method, rtol=rtol, atol=atol))
    with pytest.raises(ValueError, match=below):
        odeint(f, y0, torch.tensor([0.0, 1.0]), method=method, rtol=rtol, atol=atol)
    with pytest.raises(ValueError, match=below):
        odeint(lambda t, y: (f(t, y[0]),), (y0,), torch.tensor([0.0, 1.0]), method=method, rtol=rtol, atol=atol)
    assert len(evaluations) < 30  # those of a step or two, before it is refused


def test_a_tolerance_that_the_state_grows_beyond_is_refused_then() -> None:
    """From zero any tolerance can be met; later the state has its rounding."""
    with pytest.raises(ValueError, match="`rtol` = 1e-10"):
        integrate(lambda t, y: 1 + y, torch.zeros(3), t1=4.0, dt=0.5, solver=TorchdiffeqSolver(rtol=1e-10, atol=1e-10))


@pytest.mark.parametrize(
    ("rtol", "atol", "dtype"),
    [
        (1e-7, 1e-9, torch.float32),  # the default
        (6e-8, 1e-30, torch.float32),  # just above half a rounding, 2^-24
        (1e-12, 1e-6, torch.float32),  # what counts is the sum
        (1e-14, 1e-14, torch.float64),
    ],
)
def test_a_tolerance_that_can_be_met_is_met(rtol: float, atol: float, dtype: torch.dtype) -> None:
    y = integrate(
        decay, torch.ones(3, dtype=dtype), t1=1.0, dt=1.0, solver=TorchdiffeqSolver(rtol=rtol, atol=atol), save="end"
    ).y
    # the tolerance of an inner step, or its rounding, over a few dozen of them
    exact = torch.exp(torch.tensor(-1.0, dtype=torch.float64))
    allowed = 40 * max(rtol, atol, torch.finfo(dtype).eps)
    torch.testing.assert_close(y.double(), exact.expand(3), rtol=0, atol=allowed)


def stiff(t: Tensor, y: Tensor) -> Tensor:
    return -1e7 * (y - torch.sin(t))


@pytest.mark.parametrize(
    "call",
    [
        lambda y0: integrate(stiff, y0, t1=1.0, dt=1.0, solver=TorchdiffeqSolver(max_num_steps=50)),
        lambda y0: odeint(stiff, y0, torch.tensor([0.0, 1.0]), options={"max_num_steps": 50}),
        lambda y0: (
            integrate(
                stiff, y0, t1=1e-6, dt=1e-6, solver=Euler(), adjoint=Continuous(TorchdiffeqSolver(max_num_steps=1))
            )
            .y[-1]
            .sum()
            .backward()
        ),
    ],
    ids=["integrate", "odeint", "continuous"],
)
def test_attempts_are_bounded(call: Callable[[Tensor], Any]) -> None:
    """A stiff field takes an explicit method some million steps to t = 1."""
    with pytest.raises(ArithmeticError, match="`max_num_steps`"):
        call(torch.ones(3, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_the_bound_is_a_count(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="`max_num_steps`"):
        TorchdiffeqSolver(max_num_steps=value)


def test_the_bound_is_part_of_the_solver() -> None:
    one: Solver = TorchdiffeqSolver(max_num_steps=7)
    assert one != TorchdiffeqSolver()
