"""What step-size control cannot do, refused before it runs for ever: half precision, tolerances below a rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..checks import is_half, is_readable

Tolerance = float | Tensor

MAX_NUM_STEPS = 10_000
"""Inner steps, accepted or not, that an adaptive method may try between two times."""
MOST_NUM_STEPS = 2**31 - 1
"""What torchdiffeq counts to."""

CALLBACKS = ("callback_step", "callback_accept_step", "callback_reject_step")
"""What torchdiffeq calls on a right-hand side that has it, with (t, y, dt)."""
ADJOINT_CALLBACKS = tuple(f"{name}_adjoint" for name in CALLBACKS)
"""The same in the backward pass of its adjoint."""


def check_full_precision(method: str, dtype: torch.dtype) -> None:
    """A dtype whose roundings are small beside the estimates of the error that `method` goes by.

    Raises:
        TypeError: half precision.
    """
    if is_half(dtype):
        raise TypeError(
            f"`y0` is {dtype}, and {method!r} goes by differences of states, which half precision rounds away: give "
            "the state and the right-hand side in torch.float32, or use a method with fixed steps, such as 'rk4'"
        )


def watched(
    func: Callable[[Tensor, Any], Any], rtol: Tolerance, atol: Tolerance, dtype: torch.dtype
) -> Callable[[Tensor, Any], Any]:
    """The right-hand side, which refuses before an inner step a tolerance that the state cannot be known to.

    A tolerance of half a rounding or more holds for any state; then nothing is looked at. Callbacks of `func` stay.
    """
    least = float(rtol.min()) if isinstance(rtol, Tensor) else rtol
    if least >= half_rounding(dtype):
        return func
    before = getattr(func, CALLBACKS[0], None)

    def call(t: Tensor, y: Any) -> Any:
        return func(t, y)

    def callback_step(t: Tensor, y: Any, dt: Tensor) -> None:
        check_attainable(y if isinstance(y, Tensor) else torch.cat([part.reshape(-1) for part in y]), rtol, atol)
        if before is not None:
            before(t, y, dt)

    for name in (*CALLBACKS[1:], *ADJOINT_CALLBACKS):
        if (callback := getattr(func, name, None)) is not None:
            setattr(call, name, callback)
    setattr(call, CALLBACKS[0], callback_step)
    return call


def check_attainable(y: Tensor, rtol: Tolerance, atol: Tolerance) -> None:
    """A tolerance atol + rtol |y| that is not below the rounding of the state, in the mean square.

    A state is stored within half a rounding of itself. Below that a smaller step makes no smaller error: measured in
    float32, the error at the end of a span does not fall with `rtol` below 6e-8, and the steps grow without bound.

    Raises:
        ValueError: it is below.
    """
    if not is_readable(y):
        return
    size = y.detach().abs().double()
    allowed = torch.as_tensor(atol, device=y.device).double() + torch.as_tensor(rtol, device=y.device).double() * size
    ratio = torch.where(size > 0, half_rounding(y.dtype) * size / allowed, 0).square().mean().sqrt()
    if bool(ratio > 1):
        raise ValueError(
            f"`rtol` = {_shown(rtol)} and `atol` = {_shown(atol)} ask for an error below the rounding of a state of "
            f"size {float(size.max()):.3g} in {y.dtype}: give an `rtol` of at least {half_rounding(y.dtype):.2g}, a "
            "larger `atol`, or the state in torch.float64"
        )


def half_rounding(dtype: torch.dtype) -> float:
    """The most that storing a number in `dtype` changes it, relatively."""
    return torch.finfo(dtype).eps / 2


def steps_exceeded(error: Exception) -> bool:
    """Whether this is how torchdiffeq reports that it tried as many inner steps as it may."""
    return str(error).startswith("max_num_steps exceeded")


def step_limit_error(
    method: str, limit: int, rtol: Tolerance | Sequence[Tolerance], atol: Tolerance | Sequence[Tolerance]
) -> ArithmeticError:
    """The error for an adaptive method that used up its inner steps."""
    return ArithmeticError(
        f"{method!r} tried {limit} inner steps, its `max_num_steps`, and did not reach the next time with `rtol` = "
        f"{_shown(rtol)} and `atol` = {_shown(atol)}: loosen these, take a method of higher order, or one for stiff "
        "equations (ImplicitMidpoint, BackwardEuler), or allow more steps"
    )


def _shown(tolerance: Tolerance | Sequence[Tolerance]) -> str:
    if isinstance(tolerance, float | int):
        return f"{tolerance:.3g}"
    return "a tensor" if isinstance(tolerance, Tensor) else "one a part"
