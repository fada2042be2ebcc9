"""The methods of odeint() whose steps are fixed: along a grid, or up to an event."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..methods.step_control import CALLBACKS
from .arguments import Event, Func, Start, Tolerance, checked_event, checked_tolerance
from .event import combined, march_to_event
from .march import march
from .methods import ADAMS, ADAPTIVE, METHODS
from .options import Options, check_even
from .packing import Packing
from .steps import AdamsStepper, RungeKuttaStepper, Stepper


def with_fixed_steps(
    func: Func, start: Start, method: str, options: Options, event_fn: Event | None, atol: Tolerance
) -> Any:
    """What `odeint` returns, by a method with fixed steps."""
    packing, flat = start.packing, start.packing.wrap(func)
    before = _callback(func, method, packing)
    stepper = _stepper(method, options)
    if event_fn is None:
        grid = options.grid(flat, start.y, start.times)
        if method == ADAMS:
            check_even(grid)
        path = march(
            stepper, flat, start.y, start.times, grid, perturb=options.perturb, interp=options.interp, before=before
        )
        return packing.unpack(torch.stack(path), leading=1)
    check_event_step(method, {"step_size": options.step_size, "grid_constructor": options.grid_constructor})
    allowed = checked_tolerance("atol", atol, packing)
    tolerance = float(allowed.min()) if isinstance(allowed, Tensor) else allowed
    event = combined(checked_event(event_fn), start.times[0], start.y, packing)
    event_t, y = march_to_event(
        stepper,
        flat,
        start.y,
        start.times[0],
        _signed_step(options, start.times),
        event,
        perturb=options.perturb,
        interp=options.interp,
        before=before,
        tolerance=tolerance,
    )
    return event_t, packing.unpack(torch.stack((start.y, y)), leading=1)


def _signed_step(options: Options, times: Tensor) -> Tensor:
    assert options.step_size is not None
    step = torch.as_tensor(options.step_size, dtype=times.dtype, device=times.device).reshape(())
    return step * torch.sign(times.detach().diff()).squeeze()


def _stepper(method: str, options: Options) -> Stepper:
    if method == ADAMS:
        return AdamsStepper(options.max_order - 1)
    return RungeKuttaStepper(METHODS[method])


def _callback(func: Func, method: str, packing: Packing) -> Callable[[Tensor, Tensor, Tensor], object] | None:
    """The callback before a step. Steps of a fixed length are neither accepted nor rejected, and a warning says so."""
    for name in CALLBACKS[1:]:
        if getattr(func, name, None) is not None:
            warnings.warn(
                f"`func` has a `{name}`, which is never called: {method!r} has fixed steps, which are neither accepted "
                "nor rejected; use `callback_step`",
                UserWarning,
                stacklevel=4,
            )
    callback = getattr(func, CALLBACKS[0], None)
    return None if callback is None else lambda time, state, dt: callback(time, packing.unpack(state), dt)


def check_event_step(method: str, options: Mapping[str, Any]) -> None:
    """A step size and nothing else says where the steps to an event are, unless the method chooses them.

    Raises:
        ValueError: there is none, or a grid too.
    """
    if method in ADAPTIVE:
        return
    if options.get("step_size") is None or options.get("grid_constructor") is not None:
        raise ValueError(
            f"`options` has no `step_size`, and {method!r} steps to an event of which no one knows when it is: give "
            "options={'step_size': ...} and no grid"
        )
