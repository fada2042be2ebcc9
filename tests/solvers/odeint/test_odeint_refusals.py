"""What odeint() and its kin refuse, in the words of the argument."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from solvers import odeint, odeint_adjoint, odeint_event

Y0 = torch.ones(2)


@pytest.mark.parametrize(
    ("solve", "change", "error", "message"),
    [
        (odeint, {"func": 3}, TypeError, "`func` is int"),
        (odeint, {"method": "scipy_solver"}, ValueError, "`method` is 'scipy_solver'"),
        (odeint, {"method": "dopri6"}, ValueError, "`method` is 'dopri6'.*did you mean 'dopri8'"),
        (odeint, {"rtol": -1.0}, ValueError, "`rtol` is -1"),
        (odeint, {"atol": "small"}, TypeError, "`atol` is 'small'"),
        (odeint, {"rtol": torch.ones(3)}, ValueError, r"`rtol` has shape \(3,\)"),
        (odeint, {"rtol": (1e-3,)}, ValueError, "`rtol` has 1 parts"),
        (odeint, {"options": {"step_size": 0.1}}, ValueError, "`options` has 'step_size', which has no effect"),
        (odeint, {"options": 3}, TypeError, "`options` is int"),
        (odeint, {"method": "rk4", "options": 3}, TypeError, "`options` is int"),
        (odeint, {"method": "rk4", "options": {"step_size": torch.ones(2)}}, TypeError, "`step_size` has shape"),
        (odeint, {"method": "rk4", "options": {"step_size": torch.tensor(-0.1)}}, ValueError, "`step_size` is -0.1"),
        (odeint, {"event_fn": 3}, TypeError, "`event_fn` is int"),
        (odeint, {"event_fn": lambda t, y: y}, ValueError, "`t` has 3 times and `event_fn`"),
        (odeint, {"event_fn": lambda t, y: 1, "t": torch.tensor([0.0, 1.0])}, TypeError, "`event_fn` returned"),
        (
            odeint,
            {"event_fn": lambda t, y: y, "t": torch.tensor([0.0, 1.0]), "method": "rk4"},
            ValueError,
            "`options` has no `step_size`",
        ),
        (odeint_adjoint, {}, TypeError, "`adjoint_params` is needed"),
        (odeint_adjoint, {"adjoint_params": (3,)}, TypeError, "`adjoint_params` has a int"),
        (odeint_adjoint, {"adjoint_params": (), "adjoint_method": "magic"}, ValueError, "`adjoint_method` is 'magic'"),
        (odeint_adjoint, {"adjoint_params": (), "adjoint_rtol": -1.0}, ValueError, "`adjoint_rtol` is -1"),
        (
            odeint_adjoint,
            {"adjoint_params": (), "adjoint_method": "rk4", "options": {"first_step": 0.1}},
            ValueError,
            "`adjoint_options` is missing",
        ),
        (
            odeint_adjoint,
            {"adjoint_params": (), "adjoint_options": {"step_size": 0.1}},
            ValueError,
            "`adjoint_options` has 'step_size'",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(
    solve: Callable[..., Any], change: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments: dict[str, Any] = {"func": lambda t, y: -y, "y0": Y0, "t": torch.linspace(0, 1, 3)} | change
    with pytest.raises(error, match=message):
        solve(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t0": 0.0}, "`t0` is float"),
        ({"t0": torch.ones(2)}, "`t0` has shape"),
        ({"reverse_time": 1}, "`reverse_time`"),
        ({"odeint_interface": "odeint"}, "`odeint_interface` is str"),
        ({"adjoint_params": ()}, "`adjoint_params` is given, and `odeint_interface` is odeint"),
        ({"y0": torch.ones(0)}, "`y0` is empty"),
    ],
)
def test_what_has_no_meaning_for_an_event_is_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"func": lambda t, y: -y, "y0": Y0, "t0": torch.zeros(()), "event_fn": lambda t, y: y}
    with pytest.raises((TypeError, ValueError), match=message):
        odeint_event(**(arguments | change))
