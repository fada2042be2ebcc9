"""odeint() against the installed torchdiffeq: the same numbers and gradients, in float64 to rounding."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

from odernn import AntisymmetricField
from solvers import RK38, integrate, odeint

DOUBLE = torch.float64
METHODS = ("euler", "midpoint", "heun2", "heun3", "rk4")
# a few dozen steps, each rounding numbers of size one in another order
ROUNDING: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}

FORWARD = [0.0, 0.11, 0.35, 0.4, 0.9]
GRIDS: dict[str, dict[str, Any]] = {
    "own": {},
    "step": {"step_size": 0.07},  # divides neither the span nor the distances
    "whole": {"step_size": 0.1},  # divides the span, but for rounding, and some distances
    "constructor": {"grid_constructor": lambda func, y0, t: torch.cat((t[:2], t.new_tensor([0.37]), t[3:]))},
    "cubic": {"step_size": 0.13, "interp": "cubic"},
    "perturb": {"perturb": True},
}


class Net(torch.nn.Module):
    """A small network that time drives."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(3, 8, dtype=DOUBLE)
        self.outer = torch.nn.Linear(8, 3, dtype=DOUBLE)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.outer(torch.tanh(self.inner(y) * torch.cos(3 * t))) - 0.3 * y * t


def gradients(solve: Callable[..., Any], net: Net, times: list[float], options: dict[str, Any], method: str) -> Any:
    """The path and the gradients with respect to y0, t and the parameters."""
    generator = torch.Generator().manual_seed(1)
    y0 = torch.randn(4, 3, dtype=DOUBLE, generator=generator).requires_grad_()
    t = torch.tensor(times, dtype=DOUBLE, requires_grad=True)
    path = solve(net, y0, t, method=method, options=dict(options))
    loss = (path.sin() * torch.arange(1.0, 1 + len(t), dtype=DOUBLE).view(-1, 1, 1)).sum()
    return path, *torch.autograd.grad(loss, (y0, t, *net.parameters()))


@pytest.mark.parametrize("direction", [1, -1], ids=["increasing", "decreasing"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("method", METHODS)
def test_numbers_and_gradients_are_those_of_torchdiffeq(method: str, grid: str, direction: int) -> None:
    net, times = Net(), [direction * time for time in FORWARD]
    if grid == "constructor" and direction == -1:
        options = {"grid_constructor": lambda func, y0, t: torch.cat((t[:2], t.new_tensor([-0.37]), t[3:]))}
    else:
        options = GRIDS[grid]
    ours = gradients(odeint, net, times, options, method)
    theirs = gradients(torchdiffeq.odeint, net, times, options, method)
    for got, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)


@pytest.mark.parametrize("method", METHODS)
def test_a_jump_at_a_grid_point_falls_on_the_same_side(method: str) -> None:
    """Step ends are not exact sums: a stage that lands one digit away from the jump sees another right-hand side."""
    assert 0.2 + (0.9 - 0.2) < 0.9
    t = torch.tensor([0.0, 0.2, 0.9, 1.3], dtype=DOUBLE)
    y0 = torch.tensor([0.2, -0.1], dtype=DOUBLE)
    for jump, perturb, flip in product((0.2, 0.9), (False, True), (False, True)):

        def f(time: Tensor, y: Tensor, jump: float = jump) -> Tensor:
            return torch.where(time >= jump, 1.0 + y, -2.0 * y)

        times = t.flip(0) if flip else t
        ours = odeint(f, y0, times, method=method, options={"perturb": perturb})
        theirs = torchdiffeq.odeint(f, y0, times, method=method, options={"perturb": perturb})
        torch.testing.assert_close(ours, theirs, **ROUNDING)


@pytest.mark.parametrize("method", METHODS)
def test_a_tuple_is_a_state(method: str) -> None:
    a = torch.randn(2, 3, dtype=DOUBLE, requires_grad=True)
    b = torch.randn((), dtype=DOUBLE, requires_grad=True)
    t = torch.tensor(FORWARD, dtype=DOUBLE)

    def f(time: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return state[1] * state[0].cos(), state[0].sum() - time

    ours: Any = odeint(f, (a, b), t, method=method, options={"step_size": 0.06})
    theirs: Any = torchdiffeq.odeint(f, (a, b), t, method=method, options={"step_size": 0.06})
    assert isinstance(ours, tuple)
    assert isinstance(theirs, tuple)
    for got, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)
    ours_back, theirs_back = (
        torch.autograd.grad(torch.cat([part.flatten() for part in path]).sum(), (a, b), retain_graph=True)
        for path in (ours, theirs)
    )
    for got, wanted in zip(ours_back, theirs_back, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)


@pytest.mark.parametrize("method", METHODS)
def test_complex_states(method: str) -> None:
    rates = torch.tensor([1j, -0.2 + 2j, -1.0], dtype=torch.complex128)
    y0 = torch.randn(3, dtype=torch.complex128, requires_grad=True)
    t = torch.tensor(FORWARD, dtype=DOUBLE, requires_grad=True)
    results = []
    for solve in (odeint, torchdiffeq.odeint):
        path = solve(lambda time, y: rates * y * torch.cos(time), y0, t, method=method, options={"step_size": 0.05})
        assert isinstance(path, Tensor)
        results.append((path, *torch.autograd.grad(path.abs().square().sum(), (y0, t))))
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)


def test_single_precision_states_with_double_times() -> None:
    y0, t = torch.randn(5), torch.tensor(FORWARD, dtype=DOUBLE)
    ours = odeint(lambda time, y: y.sin() + time, y0, t, method="rk4")
    theirs = torchdiffeq.odeint(lambda time, y: y.sin() + time, y0, t, method="rk4")
    assert isinstance(ours, Tensor)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs)


def test_a_field_of_ours_and_integrate_agree() -> None:
    field = AntisymmetricField(2, 6, damping=0.1, dtype=DOUBLE)
    u = field.control(torch.randn(3, 2, dtype=DOUBLE))
    y0, t = torch.randn(3, 6, dtype=DOUBLE), torch.linspace(0, 1, 11, dtype=DOUBLE)

    def f(time: object, y: Tensor) -> Tensor:
        return field(0.0, y, u)

    ours = odeint(f, y0, t, method="rk4")
    torch.testing.assert_close(ours, torchdiffeq.odeint(f, y0, t, method="rk4"), **ROUNDING)
    torch.testing.assert_close(ours, integrate(f, y0, t1=1.0, dt=0.1, solver=RK38()).y, **ROUNDING)


def test_the_callback_of_a_module_is_called_before_every_step() -> None:
    class Recorder(Net):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[tuple[float, float, float]] = []

        def callback_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
            self.calls.append((float(t), float(y.detach().sum()), float(dt)))

    net, t = Recorder(), -torch.tensor(FORWARD, dtype=DOUBLE)
    y0 = torch.randn(1, 3, dtype=DOUBLE)
    odeint(net, y0, t, method="midpoint")
    ours, net.calls = net.calls, []
    torchdiffeq.odeint(net, y0, t, method="midpoint")
    assert len(ours) == len(FORWARD) - 1
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(net.calls))


def test_one_time_gives_the_start() -> None:
    y0 = torch.randn(2, 2)
    torch.testing.assert_close(odeint(lambda t, y: y, y0, torch.zeros(1), method="euler"), y0.unsqueeze(0))


def test_a_step_that_divides_the_span_takes_no_empty_step_more() -> None:
    """6 x 0.1 is 0.6000000000000001, and torchdiffeq takes a seventh step, of length zero."""
    t = torch.tensor([0.0, 6 * 0.1], dtype=DOUBLE)
    counts = []
    for solve in (odeint, torchdiffeq.odeint):
        calls: list[Tensor] = []

        def f(time: Tensor, y: Tensor, calls: list[Tensor] = calls) -> Tensor:
            calls.append(time)
            return y

        solve(f, torch.ones(1, dtype=DOUBLE), t, method="euler", options={"step_size": 0.1})
        counts.append(len(calls))
    assert counts == [6, 7]


Y0, T = torch.ones(2), torch.linspace(0, 1, 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"options": {"norm": max}}, ValueError, "'norm', which has no effect"),
        ({"options": {"max_order": 5}}, ValueError, "'max_order', which has no effect on 'euler'"),
        ({"options": {"step_size": 0.1, "grid_constructor": lambda f, y, t: t}}, ValueError, "give one"),
        ({"options": {"step_size": -0.1}}, ValueError, "`step_size` is -0.1"),
        ({"options": {"interp": "quintic"}}, ValueError, "`interp` is 'quintic'"),
        ({"options": {"perturb": 1}}, TypeError, "`perturb` is 1"),
        ({"options": {"grid_constructor": lambda f, y, t: t[1:]}}, ValueError, "exactly"),
        ({"options": {"grid_constructor": lambda f, y, t: t.flip(0)}}, ValueError, "strictly"),
        ({"t": [0.0, 1.0]}, TypeError, "`t` is list"),
        ({"t": torch.arange(3)}, TypeError, "floating times"),
        ({"t": torch.tensor([0.0, 1.0, 1.0])}, ValueError, "all increase or all decrease"),
        ({"t": torch.tensor([0.0, float("nan")])}, ValueError, "finite times"),
        ({"y0": [1.0]}, TypeError, "`y0` is list"),
        ({"y0": torch.ones(2, dtype=torch.long)}, TypeError, "`y0` has dtype"),
        ({"func": lambda t, y: y[:1]}, ValueError, r"`func` returned \[\(1,\)\]"),
        ({"func": lambda t, y: 1.0}, ValueError, r"`func` returned \['float'\]"),
        ({"func": lambda t, y: (y[0],), "y0": (Y0, Y0)}, ValueError, "dy/dt is like the state"),
    ],
)
def test_what_has_no_effect_or_no_meaning_is_refused(change: dict[str, Any], error: type, message: str) -> None:
    arguments: dict[str, Any] = {"func": lambda t, y: y, "y0": Y0, "t": T, "method": "euler"} | change
    with pytest.raises(error, match=message):
        odeint(**arguments)
