"""What odeint() and odeint_adjoint() hand on to torchdiffeq: the methods that choose their steps, and its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any

import torch
from torch import Tensor

from ..checks import check_count, check_not_negative, check_positive, is_half
from ..divergence import DivergenceError
from ..methods.step_control import (
    ADJOINT_CALLBACKS,
    CALLBACKS,
    MAX_NUM_STEPS,
    MOST_NUM_STEPS,
    check_full_precision,
    step_limit_error,
    steps_exceeded,
    watched,
)
from ..methods.torchdiffeq import is_lost
from .arguments import Start, Tolerance, checked_tolerance
from .methods import ADAMS, ADAPTIVE, IMPLICIT
from .options import read_options

POSITIVE = ("first_step", "safety", "ifactor", "dfactor")
LIMITS = ("min_step", "max_step")
TIMES = ("step_t", "jump_t")
CONTROLLED = (*LIMITS, *POSITIVE, *TIMES, "max_num_steps", "dtype", "norm")
"""The options of an adaptive method in torchdiffeq."""
_NO_EVENT = "Reached maximum number of iterations"
"""How torchdiffeq reports that fixed steps met no event."""


def checked_options(name: str, options: Mapping[str, Any] | None, method: str) -> dict[str, Any]:
    """The options of a method that torchdiffeq does, with a bound on its steps.

    Raises:
        TypeError, ValueError: an option that has no effect, or a value of the wrong type or out of range.
    """
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"`{name}` is {type(options).__name__}; give a dictionary of options by name")
    given = {} if options is None else dict(options)
    if method not in ADAPTIVE:
        own = {"max_iters", "norm"} if method in IMPLICIT else {"norm"}
        read_options({k: v for k, v in given.items() if k not in own}, ADAMS if method in IMPLICIT else method, name)
    for key, value in given.items():
        if method in ADAPTIVE and key not in CONTROLLED:
            raise ValueError(f"`{name}` has {key!r}, which has no effect on {method!r}; it may have {list(CONTROLLED)}")
        _check_option(key, value, seminorm=name == "adjoint_options")
    return {"max_num_steps": MAX_NUM_STEPS} | given if method in ADAPTIVE else given


def _check_option(name: str, value: object, *, seminorm: bool) -> None:
    """An option of torchdiffeq's own, whatever the method; the others are `Options`."""
    if name in ("max_num_steps", "max_iters"):
        check_count(name, value, most=MOST_NUM_STEPS)
    elif name in POSITIVE and value is not None:
        check_positive(name, float(value.detach()) if isinstance(value, Tensor) and value.numel() == 1 else value)
    elif name in LIMITS and not (isinstance(value, float) and value == inf):
        check_not_negative(name, value)
    elif name in TIMES and not (value is None or (isinstance(value, Tensor) and value.is_floating_point())):
        raise TypeError(f"`{name}` is {type(value).__name__}; give a floating tensor of times")
    elif name == "dtype" and not (isinstance(value, torch.dtype) and value.is_floating_point and not is_half(value)):
        raise TypeError(f"`dtype` is {value!r}; give the dtype of the times, torch.float64 or torch.float32")
    elif name == "norm" and not (callable(value) or (seminorm and value == "seminorm")):
        raise TypeError(f"`norm` is {value!r}; give a callable (state) -> a tensor of one number")


def with_norm(options: dict[str, Any], start: Start) -> dict[str, Any]:
    """The options, with a norm for a tuple state that has an empty part: torchdiffeq's is not a number there."""
    sizes = [shape.numel() for shape in start.packing.shapes or ()]
    return {"norm": _norm_of_parts} | options if 0 in sizes else options


def _norm_of_parts(parts: tuple[Tensor, ...]) -> Tensor:
    """The largest of the root mean squares of the parts that have entries, as torchdiffeq takes it of all."""
    return torch.stack([part.abs().square().mean().sqrt() for part in parts if part.numel()]).max()


def guarded(
    func: Callable[[Tensor, Any], Any], start: Start, method: str, rtol: Tolerance, atol: Tolerance
) -> Callable[[Tensor, Any], Any]:
    """The right-hand side as torchdiffeq is to see it: checked, in the dtype of the state, with its callbacks.

    Raises:
        TypeError, ValueError: a tolerance that is none, or a state in half precision.
    """
    relative, absolute = (
        checked_tolerance(name, value, start.packing) for name, value in (("rtol", rtol), ("atol", atol))
    )

    def checked(t: Tensor, y: Any) -> Any:
        packed = y if isinstance(y, Tensor) else y[0]
        return start.packing.like_state(func(t, y), packed)

    for name in (*CALLBACKS, *ADJOINT_CALLBACKS):
        if (callback := getattr(func, name, None)) is not None:
            setattr(checked, name, callback)
    check_dtype(method, start)
    return watched(checked, relative, absolute, start.y.dtype) if method in ADAPTIVE else checked


def check_dtype(method: str, start: Start) -> None:
    """A state that the method can tell errors of.

    Raises:
        TypeError: half precision, for an adaptive method or implicit_adams.
    """
    if method in (*ADAPTIVE, *IMPLICIT):
        check_full_precision(method, start.y.dtype)


@contextmanager
def torchdiffeq_errors(
    method: str, options: Mapping[str, Any], rtol: Tolerance, atol: Tolerance, *, event: bool
) -> Iterator[None]:
    """torchdiffeq's assertions about its steps as errors of ours; `event` is whether it looks for an event."""
    try:
        yield
    except (AssertionError, RuntimeError) as error:
        if event and (steps_exceeded(error) or str(error).startswith(_NO_EVENT)):
            raise ArithmeticError(
                f"`event_fn` did not change its sign in as many steps of {method!r} as are tried "
                f"({options.get('max_num_steps', 20_000)}): is the event on this side of the start?"
            ) from error
        if isinstance(error, RuntimeError):
            raise
        if steps_exceeded(error):
            raise step_limit_error(method, options["max_num_steps"], rtol, atol) from error
        if not is_lost(error):
            raise
        raise DivergenceError(
            f"{method!r} lost the solution ({str(error)[:60]}): the equation is stiff, or its solution stops being "
            "finite; end before that, or take a method for stiff equations (ImplicitMidpoint, BackwardEuler)",
            None,
            None,
            None,
        ) from error
