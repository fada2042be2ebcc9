"""odeint() and its kin where torchdiffeq's are expected: numbers, gradients, dtypes, callbacks."""

import math
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

from solvers import odeint, odeint_adjoint

DOUBLE = torch.float64
FIXED = ("euler", "midpoint", "heun2", "heun3", "rk4")
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
# the same operations in torchdiffeq itself, or in another order: a few dozen roundings of numbers of size one
ROUNDING = {"rtol": 1e-11, "atol": 1e-12}
EVEN = torch.linspace(0, 1, 6, dtype=DOUBLE)


class Net(nn.Module):
    """A small network that time drives."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(3, 8, dtype=DOUBLE)
        self.outer = nn.Linear(8, 3, dtype=DOUBLE)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.outer(torch.tanh(self.inner(y) * torch.cos(3 * t))) - 0.3 * y * t


def outcome(solve: Callable[..., Any], t: Tensor, further: dict[str, Any]) -> tuple[Tensor, ...]:
    """The path and the gradients with respect to y0, t and the parameters."""
    net, times = Net(), t.clone().requires_grad_()
    y0 = torch.randn(4, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)).requires_grad_()
    path = solve(net, y0, times, **further)
    return path, *torch.autograd.grad(path.sin().sum(), (y0, times, *net.parameters()))


def assert_same(ours: Any, theirs: Any, **tolerance: float) -> None:
    for got, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, wanted, **(tolerance or ROUNDING))


@pytest.mark.parametrize("sign", [1, -1], ids=["forward", "backward"])
@pytest.mark.parametrize(
    "further",
    [
        {},  # the default is dopri5
        *({"method": name, "rtol": 1e-4, "atol": 1e-5} for name in ADAPTIVE),
        {"method": "dopri5", "options": {"first_step": 0.01, "max_num_steps": 500}},
        {"method": "implicit_adams", "options": {"step_size": 0.05}},
        {"method": "fixed_adams"},
        {"method": "rk4", "rtol": 1e-3, "atol": 1e-3},  # ignored
        {"method": "midpoint", "options": {"step_size": torch.tensor(0.07, dtype=DOUBLE)}},
        {"method": "euler", "options": {"step_size": torch.tensor([0.07])}},
    ],
    ids=str,
)
def test_numbers_and_gradients_are_those_of_torchdiffeq(further: dict[str, Any], sign: int) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Functional iteration did not converge")  # torchdiffeq's own, of both
        assert_same(outcome(odeint, sign * EVEN, further), outcome(torchdiffeq.odeint, sign * EVEN, further))


@pytest.mark.parametrize(
    "further",
    [
        {},
        {"method": "rk4", "options": {"step_size": 0.05}},
        {"method": "dopri8", "adjoint_method": "dopri5", "adjoint_rtol": 1e-5, "adjoint_atol": 1e-6},
        {"method": "dopri5", "options": {"first_step": 0.1}, "adjoint_options": {"norm": "seminorm"}},
        {"method": "euler", "adjoint_method": "midpoint", "adjoint_options": {"step_size": 0.1}},
    ],
    ids=str,
)
def test_the_adjoint_is_that_of_torchdiffeq(further: dict[str, Any]) -> None:
    assert_same(outcome(odeint_adjoint, EVEN, further), outcome(torchdiffeq.odeint_adjoint, EVEN, further))


def test_the_adjoint_reaches_the_parameters_that_are_named() -> None:
    rate = torch.tensor(-0.7, dtype=DOUBLE, requires_grad=True)
    y0 = torch.ones(2, dtype=DOUBLE, requires_grad=True)
    end = odeint_adjoint(lambda t, y: rate * y, y0, EVEN, adjoint_params=(rate,))[-1]
    by_rate, by_y0 = torch.autograd.grad(end.sum(), (rate, y0))
    torch.testing.assert_close(by_rate, 2 * torch.exp(rate), rtol=1e-6, atol=0)  # the tolerance, over a few steps
    torch.testing.assert_close(by_y0, torch.exp(rate).expand(2), rtol=1e-6, atol=0)


def test_a_tensor_step_size_has_a_gradient() -> None:
    results, both = [], cast(tuple[Callable[..., Any], ...], (odeint, torchdiffeq.odeint))
    for solve in both:
        step = torch.tensor(0.07, dtype=DOUBLE, requires_grad=True)
        path = solve(Net(), torch.ones(1, 3, dtype=DOUBLE), EVEN, method="heun2", options={"step_size": step})
        results.append(torch.autograd.grad(path.sum(), step))
    assert_same(*results)


@pytest.mark.parametrize("method", [*FIXED, "explicit_adams", "dopri5"])
@pytest.mark.parametrize("of_func", [torch.float64, torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_the_result_has_the_dtype_of_the_state(method: str, of_func: torch.dtype) -> None:
    y0, t = torch.tensor([0.3, -0.8]), torch.linspace(0, 1, 6)

    def f(t: Tensor, y: Tensor) -> Tensor:
        assert y.dtype == torch.float32
        return (-y).to(of_func)

    loose = {"rtol": 0.01, "atol": 0.01}  # a coarse slope cannot be told more exactly
    seen = odeint(f, y0, t, method=method, **loose)
    assert seen.dtype == torch.float32
    wanted = odeint(lambda t, y: (-y).to(of_func).float(), y0, t, method=method, **loose)
    torch.testing.assert_close(seen, wanted, rtol=0, atol=0)
    parts = odeint(lambda t, y: (f(t, y[0]), f(t, y[1])), (y0, y0.clone()), t, method=method, **loose)
    assert {part.dtype for part in parts} == {torch.float32}


def test_a_slope_of_more_digits_gives_the_numbers_of_torchdiffeq() -> None:
    y0, t = torch.tensor([0.3, -0.8]), torch.linspace(0, 1, 6)
    for method in (*FIXED, "dopri5"):  # with a tolerance whose steps roundings do not choose
        ours, theirs = (
            solve(lambda t, y: -y.double(), y0, t, method=method, rtol=1e-4, atol=1e-5)
            for solve in (odeint, torchdiffeq.odeint)
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)  # ten roundings of float32


@pytest.mark.parametrize("method", [*FIXED, "explicit_adams", "implicit_adams", "dopri5"])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_complex_slope_of_a_real_state_is_refused(method: str, parts: int) -> None:
    y0 = torch.ones(2) if parts == 1 else (torch.ones(2), torch.ones(3))
    for solve in (odeint, partial(odeint_adjoint, adjoint_params=())):
        with pytest.raises(TypeError, match=r"`func` returned torch\.complex64 and `y0` is torch\.float32"):
            solve(lambda t, y: 1j * y if parts == 1 else (1j * y[0], y[1]), y0, torch.linspace(0, 1, 5), method=method)


@pytest.mark.parametrize("method", [*FIXED, "explicit_adams", "implicit_adams", "dopri5", "bosh3", None])
@pytest.mark.parametrize("solve", [odeint, odeint_adjoint])
def test_an_empty_batch_is_a_state(method: str | None, solve: Callable[..., Tensor]) -> None:
    net, y0 = Net(), torch.zeros(0, 3, dtype=DOUBLE, requires_grad=True)
    path = solve(net, y0, EVEN, method=method)
    assert path.shape == (6, 0, 3)
    gradients = torch.autograd.grad(path.sum(), (y0, *net.parameters()))
    assert all(bool((g == 0).all()) for g in gradients)


@pytest.mark.parametrize("method", [*FIXED, "explicit_adams", "implicit_adams", "dopri5"])
@pytest.mark.parametrize("solve", [odeint, partial(odeint_adjoint, adjoint_params=())])
def test_an_empty_part_changes_nothing_for_the_others(method: str, solve: Callable[..., Any]) -> None:
    options = {"step_size": 0.02} if method == "implicit_adams" else None
    results = []
    for empty in ((), (torch.zeros(0, 3, dtype=DOUBLE),)):
        y0 = torch.ones(2, dtype=DOUBLE, requires_grad=True)
        paths = solve(
            lambda t, y: tuple(torch.sin(part + t) for part in y),
            (*empty, y0, *empty),
            EVEN,
            method=method,
            options=options,
            rtol=1e-5,
        )
        assert all(path.shape == (6, 0, 3) for path in (*paths[: len(empty)], *paths[len(empty) + 1 :]))
        path = paths[len(empty)]
        results.append((path, *torch.autograd.grad(path.sum(), y0)))
    assert_same(*results)


class Recorder(Net):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, float, float]] = []

    def callback_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self.calls.append(("step", float(t), float(dt)))

    def callback_accept_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self.calls.append(("accept", float(t), float(dt)))

    def callback_reject_step(self, t: Tensor, y: Tensor, dt: Tensor) -> None:
        self.calls.append(("reject", float(t), float(dt)))


@pytest.mark.parametrize("solve", ["odeint", "odeint_adjoint"])
@pytest.mark.parametrize("rtol", [1e-7, 1e-17], ids=["plain", "watched"])
def test_callbacks_of_adaptive_methods_are_called(solve: str, rtol: float) -> None:
    """With a relative tolerance below a rounding our own watch is among them."""
    net, calls = Recorder(), []
    for module in ({"odeint": odeint, "odeint_adjoint": odeint_adjoint}, vars(torchdiffeq)):
        module[solve](net, torch.ones(1, 3, dtype=DOUBLE), -EVEN, rtol=rtol, options={"first_step": 5.0})
        calls.append(net.calls)
        net.calls = []
    assert calls[0] == calls[1]
    assert {kind for kind, *_ in calls[0]} == {"step", "accept", "reject"}


def test_fixed_steps_say_that_none_is_accepted_or_rejected() -> None:
    net = Recorder()
    with pytest.warns(UserWarning, match="`callback_(accept|reject)_step`, which is never called") as warned:
        odeint(net, torch.ones(1, 3, dtype=DOUBLE), EVEN, method="rk4")
    assert {warning.filename for warning in warned} == {__file__}  # the line that called
    assert [kind for kind, *_ in net.calls] == ["step"] * 5


@pytest.mark.parametrize(
    "atol", [1e-3, (1e-3, 1e-8), torch.tensor([1e-3, 1e-8]), (1e-3, torch.full((3,), 1e-8))], ids=str
)
def test_a_tuple_state_takes_a_tolerance_for_each_part(atol: Any) -> None:
    y0 = (torch.ones(2, dtype=DOUBLE), torch.ones(3, dtype=DOUBLE))
    paths = [
        solve(lambda t, y: (torch.cos(9 * y[0]), y[0].sum() * y[1]), y0, EVEN, rtol=1e-20, atol=atol)
        for solve in (odeint, torchdiffeq.odeint)
    ]
    assert_same(*paths)


def test_empty_parameters_are_left_out_of_the_adjoint() -> None:
    net = Net()
    net.none = nn.Parameter(torch.zeros(0, dtype=DOUBLE))
    path = odeint_adjoint(net, torch.ones(1, 3, dtype=DOUBLE), EVEN)
    assert torch.autograd.grad(path.sum(), net.outer.bias)[0].isfinite().all()


def test_an_adaptive_method_that_loses_the_solution_says_so() -> None:
    with pytest.raises(ArithmeticError, match="'dopri5' lost the solution"):
        odeint(lambda t, y: y * y, torch.ones(1, dtype=DOUBLE), torch.tensor([0.0, 2.0], dtype=DOUBLE))


def test_the_page_of_the_documentation_runs(repository: Path) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (repository / "docs" / "odeint.md").read_text(encoding="utf-8"), re.S
    )
    names: dict[str, Any] = {}
    exec(compile(example, "docs/odeint.md", "exec"), names)
    assert float(names["when"]) == pytest.approx(math.log(2), abs=1e-6)  # float32
