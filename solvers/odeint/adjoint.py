"""odeint_adjoint(): torchdiffeq's adjoint, called by its names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..methods.torchdiffeq import torchdiffeq_package
from .arguments import Event, Func, Tolerance, checked_event, checked_start, checked_tolerance
from .fixed_steps import check_event_step
from .handed_on import check_dtype, checked_options, guarded, torchdiffeq_errors, with_norm
from .methods import checked_method
from .packing import State


def odeint_adjoint(
    func: Func,
    y0: State,
    t: Tensor,
    *,
    rtol: Tolerance = 1e-7,
    atol: Tolerance = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    event_fn: Event | None = None,
    adjoint_rtol: Tolerance | None = None,
    adjoint_atol: Tolerance | None = None,
    adjoint_method: str | None = None,
    adjoint_options: Mapping[str, Any] | None = None,
    adjoint_params: Iterable[Tensor] | None = None,
) -> Any:
    """Integrate as `odeint`, with gradients by the adjoint equation: torchdiffeq.odeint_adjoint, called by its names.

    All is handed on to torchdiffeq after the checks of `odeint`. `Continuous` is the same idea for `integrate` and for
    a layer, one interval at a time.

    Args:
        func: as `odeint`; a torch.nn.Module, unless `adjoint_params` is given. Callbacks whose name ends in `_adjoint`
            are called in the backward pass.
        y0: as `odeint`.
        t: as `odeint`.
        rtol: as `odeint`.
        atol: as `odeint`.
        method: as `odeint`.
        options: as `odeint`.
        event_fn: as `odeint`.
        adjoint_rtol: of the adjoint equation; None for `rtol`.
        adjoint_atol: likewise; None for `atol`.
        adjoint_method: likewise; None for `method`.
        adjoint_options: likewise; None for `options` without its norm, which needs the same method.
        adjoint_params: the tensors besides y0 and t that gradients flow to; None for the parameters of `func`.

    Returns:
        As `odeint`.

    Raises:
        TypeError, ValueError: as `odeint`, or no parameters are known.
        ArithmeticError: as `odeint`, in the forward pass.
    """
    method = checked_method("method", method)
    backward = method if adjoint_method is None else checked_method("adjoint_method", adjoint_method)
    start = checked_start(func, y0, t, event_fn)
    if adjoint_options is None and backward != method and options is not None:
        raise ValueError(
            f"`adjoint_options` is missing: `options` are those of {method!r}, and `adjoint_method` is {backward!r}"
        )
    chosen = checked_options("options", options, method)
    inherited = (
        {k: v for k, v in (options or {}).items() if k != "norm"} if adjoint_options is None else adjoint_options
    )
    of_adjoint = checked_options("adjoint_options", inherited, backward)
    if start.y.numel() == 0:  # an error has no size there: any method takes it
        method, backward, chosen, of_adjoint = "euler", "euler", {}, {}
    if event_fn is not None:
        check_event_step(method, chosen)
    watching = guarded(func, start, method, rtol, atol)
    tolerances = {
        "adjoint_rtol": rtol if adjoint_rtol is None else adjoint_rtol,
        "adjoint_atol": atol if adjoint_atol is None else adjoint_atol,
    }
    for name, value in tolerances.items():
        checked_tolerance(name, value, start.packing)
    check_dtype(backward, start)
    with torchdiffeq_errors(method, chosen, rtol, atol, event=event_fn is not None):
        return torchdiffeq_package().odeint_adjoint(
            watching,
            y0,
            start.times,
            rtol=rtol,
            atol=atol,
            method=method,
            options=with_norm(chosen, start),
            event_fn=None if event_fn is None else checked_event(event_fn),
            **tolerances,
            adjoint_method=backward,
            adjoint_options=of_adjoint,
            adjoint_params=_parameters(func, adjoint_params),
        )


def _parameters(func: Func, given: Iterable[Tensor] | None) -> tuple[Tensor, ...]:
    if given is None:
        if not isinstance(func, torch.nn.Module):
            raise TypeError(
                f"`func` is {type(func).__name__} and no torch.nn.Module, so `adjoint_params` is needed: give the "
                "tensors that gradients flow to, or () for none"
            )
        return _with_entries(func.parameters())
    if isinstance(given, Tensor) or not isinstance(given, Iterable):
        raise TypeError(f"`adjoint_params` is {type(given).__name__}; give a tuple of tensors")
    parameters = tuple(given)
    for each in parameters:
        if not isinstance(each, Tensor):
            raise TypeError(f"`adjoint_params` has a {type(each).__name__}; give tensors")
    return _with_entries(parameters)


def _with_entries(parameters: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The parameters that are not empty: the error that torchdiffeq's adjoint measures has no size in the others."""
    return tuple(each for each in parameters if each.numel())
