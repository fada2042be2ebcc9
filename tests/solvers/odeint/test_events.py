"""Events: integration up to a zero of a function, its time, the state then, and their gradients."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

from solvers import odeint, odeint_adjoint, odeint_event
from tests.pairs import crossed

DOUBLE = torch.float64
FIXED = ("euler", "midpoint", "heun2", "heun3", "rk4")
EVEN = torch.linspace(0, 1, 6, dtype=DOUBLE)


def assert_same(ours: Any, theirs: Any, tolerance: float) -> None:
    for got, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance)


def fall(t: Tensor, y: Any) -> Any:
    """A ball: height and speed."""
    return torch.stack((y[1], torch.full_like(y[1], -9.81)))


def test_a_ball_hits_the_ground() -> None:
    """h + v t - g t^2 / 2 = 0: RK4 is exact for it, and so is the cubic between its steps."""
    for further in ({"method": "rk4", "options": {"step_size": 0.3, "interp": "cubic"}}, {}):
        y0 = torch.tensor([5.0, 2.0], dtype=DOUBLE, requires_grad=True)
        t0 = torch.tensor(0.5, dtype=DOUBLE, requires_grad=True)
        event_t, states = odeint_event(fall, y0, t0, event_fn=lambda t, y: y[0], atol=1e-12, **further)
        h, v = y0.detach().unbind()
        root = torch.sqrt(v * v + 2 * 9.81 * h)
        torch.testing.assert_close(event_t, 0.5 + (v + root) / 9.81, rtol=0, atol=1e-9)  # the tolerance of dopri5
        torch.testing.assert_close(states[1], torch.stack((torch.zeros_like(h), -root)), rtol=0, atol=1e-8)
        by_y0, by_t0 = torch.autograd.grad(event_t, (y0, t0), retain_graph=True)
        torch.testing.assert_close(by_y0, torch.stack((1 / root, (1 + v / root) / 9.81)), rtol=0, atol=1e-8)
        torch.testing.assert_close(by_t0, torch.ones_like(by_t0), rtol=0, atol=1e-8)
        (of_speed,) = torch.autograd.grad(states[1, 1], y0)
        torch.testing.assert_close(of_speed, torch.stack((-9.81 / root, -v / root)), rtol=0, atol=1e-7)


PLAIN: list[dict[str, Any]] = [{"method": name, "options": {"step_size": 0.07}, "atol": 1e-13} for name in FIXED]
FURTHER: list[dict[str, Any]] = [
    *PLAIN,
    {"method": "rk4", "options": {"step_size": 0.2, "interp": "cubic"}, "atol": 1e-13},
    {"method": "rk4", "options": {"step_size": 0.2, "perturb": True}, "atol": 1e-13},
    # 5: the default magnifies roundings
    {"method": "explicit_adams", "options": {"step_size": 0.05, "max_order": 5}, "atol": 1e-13},
    {"method": "implicit_adams", "options": {"step_size": 0.05}},
    {"method": "dopri5"},
    {"method": "bosh3", "rtol": 1e-4, "atol": 1e-6},
]


@crossed({"further": FURTHER, "sign": [1, -1], "tuples": [False, True]}, once={"further": PLAIN})
def test_events_are_those_of_torchdiffeq(further: dict[str, Any], sign: int, tuples: bool) -> None:
    """A pendulum that passes its lowest point, or is a second late: the event has two entries."""
    results = []
    for solve in (odeint_event, torchdiffeq.odeint_event):
        rate = torch.tensor(1.7, dtype=DOUBLE, requires_grad=True)
        y0 = torch.tensor([0.9, 0.2 * sign], dtype=DOUBLE, requires_grad=True)
        t0 = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)

        def f(t: Tensor, y: Any, rate: Tensor = rate) -> Any:
            q, p = y if tuples else y.unbind()
            slope = (p, -rate * torch.sin(q) + 0.1 * t)
            return slope if tuples else torch.stack(slope)

        def event(t: Tensor, y: Any) -> Tensor:
            return torch.stack((y[0] - 0.1 * torch.cos(t), 3 + sign * (0.3 - t)))

        state = tuple(y0.unbind()) if tuples else y0
        event_t, states = solve(f, state, t0, event_fn=event, reverse_time=sign < 0, **further)
        last = torch.stack([part[1] for part in states]) if tuples else states[1]
        loss = event_t * 2 + last.sin().sum()
        results.append((event_t, last, *torch.autograd.grad(loss, (y0, t0, rate))))
    # fixed steps bisect to 1e-13, on either side; the other methods are torchdiffeq's, which adds 1e-12 to a divisor
    assert_same(*results, tolerance=1e-10)


def test_an_event_by_the_adjoint_is_that_of_torchdiffeq() -> None:
    results = []
    modules: list[tuple[Callable[..., Any], Any]] = [
        (odeint_event, odeint_adjoint),
        (torchdiffeq.odeint_event, torchdiffeq.odeint_adjoint),
    ]
    for module in modules:
        rate = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
        y0 = torch.ones(2, dtype=DOUBLE, requires_grad=True)
        event_t, states = module[0](
            lambda t, y, rate=rate: -rate * y,
            y0,
            torch.zeros((), dtype=DOUBLE),
            event_fn=lambda t, y: y[0] - 0.5,
            odeint_interface=module[1],
            adjoint_params=(rate,),
            adjoint_rtol=1e-5,
        )
        results.append((event_t, *torch.autograd.grad(event_t + states.sum(), (y0, rate))))
    assert_same(*results, tolerance=1e-10)  # torchdiffeq adds 1e-12 to a divisor
    torch.testing.assert_close(results[0][0], torch.tensor(math.log(2) / 1.3, dtype=DOUBLE), rtol=0, atol=1e-8)


def test_the_event_function_has_a_gradient_too() -> None:
    """exp(-t) falls to a level at -log(level)."""
    level = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
    y0, t0 = torch.ones((), dtype=DOUBLE), torch.zeros((), dtype=DOUBLE)
    event_t, _ = odeint_event(lambda t, y: -y, y0, t0, event_fn=lambda t, y: y - level)
    (by_level,) = torch.autograd.grad(event_t, level)
    torch.testing.assert_close(by_level, -1 / level.detach(), rtol=1e-7, atol=0)


def test_an_event_has_no_second_derivative() -> None:
    y0 = torch.ones(1, dtype=DOUBLE, requires_grad=True)
    event_t, states = odeint_event(lambda t, y: -y, y0, torch.zeros((), dtype=DOUBLE), event_fn=lambda t, y: y[0] - 0.3)
    for part in (event_t, states[1, 0]):
        with pytest.raises(NotImplementedError, match="`odeint_event`"):
            torch.autograd.grad(part, y0, create_graph=True, retain_graph=True)


def test_an_event_at_the_start_is_there() -> None:
    y0 = torch.ones(1, dtype=DOUBLE)
    for method, options in (("rk4", {"step_size": 0.1}), ("dopri5", None)):
        event_t, states = odeint(
            lambda t, y: -y, y0, EVEN[[1, 5]], method=method, options=options, event_fn=lambda t, y: y[0] - 1
        )
        assert float(event_t) == float(EVEN[1])
        torch.testing.assert_close(states, torch.stack((y0, y0)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("func", "event_fn", "error", "message"),
    [
        (lambda t, y: 0 * y, lambda t, y: y[0] + 1, ArithmeticError, "`event_fn` did not change its sign"),
        (lambda t, y: y**3, lambda t, y: y[0] + 1, ArithmeticError, "the state stopped being finite at t = [567]"),
        (lambda t, y: -2 * y, lambda t, y: y[0].log(), ValueError, "`event_fn` is not a number at t = 1"),
    ],
    ids=["never", "diverges", "undefined"],
)
def test_an_event_that_does_not_come_is_told(func: Any, event_fn: Any, error: type[Exception], message: str) -> None:
    y0, options = torch.full((1,), 2.0, dtype=DOUBLE), {"step_size": 1.0}
    with pytest.raises(error, match=message):
        odeint(func, y0, EVEN[[0, 5]], method="euler", options=options, event_fn=event_fn)


def test_an_adaptive_method_looks_for_an_event_so_far_only() -> None:
    span, options = torch.tensor([0.0, 1.0]), {"max_num_steps": 30}
    with pytest.raises(ArithmeticError, match="`event_fn` did not change its sign"):
        odeint(lambda t, y: torch.sin(t) * y, torch.ones(1), span, options=options, event_fn=lambda t, y: y + 1)
