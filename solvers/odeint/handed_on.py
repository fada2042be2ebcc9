"""What odeint() and odeint_adjoint() hand on to torchdiffeq: the methods that choose their steps, and its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from ..divergence import DivergenceError
from ..methods.step_control import (
    ADJOINT_CALLBACKS,
    CALLBACKS,
    MAX_NUM_STEPS,
    check_full_precision,
    step_limit_error,
    steps_exceeded,
    watched,
)
from ..methods.torchdiffeq import is_lost
from .arguments import Start, Tolerance, checked_tolerance
from .methods import ADAMS, ADAPTIVE, IMPLICIT
from .options import read_options

CONTROLLED = (
    "min_step",
    "max_step",
    "first_step",
    "step_t",
    "jump_t",
    "safety",
    "ifactor",
    "dfactor",
    "max_num_steps",
    "dtype",
    "norm",
)
"""The options of an adaptive method in torchdiffeq."""


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
        return given
    for key in given:
        if key not in CONTROLLED:
            raise ValueError(f"`{name}` has {key!r}, which has no effect on {method!r}; it may have {list(CONTROLLED)}")
    return {"max_num_steps": MAX_NUM_STEPS} | given


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
def torchdiffeq_errors(method: str, options: Mapping[str, Any], rtol: Tolerance, atol: Tolerance) -> Iterator[None]:
    """torchdiffeq's assertions about its steps as errors of ours."""
    try:
        yield
    except AssertionError as error:
        if steps_exceeded(error):
            limit, tolerances = options["max_num_steps"], [x if isinstance(x, float) else 0.0 for x in (rtol, atol)]
            raise step_limit_error(method, limit, *tolerances) from error
        if not is_lost(error):
            raise
        raise DivergenceError(
            f"{method!r} lost the solution ({str(error)[:60]}): the equation is stiff, or its solution stops being "
            "finite; end before that, or take a method for stiff equations (ImplicitMidpoint, BackwardEuler)",
            None,
            None,
            None,
        ) from error
