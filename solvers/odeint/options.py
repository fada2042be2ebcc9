"""The options of odeint(), and the grid that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import ceil
from typing import Any

import torch
from torch import Tensor

from ..checks import check_choice, check_count, check_flag, check_positive
from ..grid import WHOLE
from .methods import ADAMS

MAX_ORDERS = (4, 12)
"""The range of `max_order`. One less is the highest order of an explicit method in torchdiffeq."""

GridConstructor = Callable[[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Options:
    """What torchdiffeq's fixed-step methods can be told. See `odeint` for their meaning.

    Raises:
        TypeError, ValueError: a value of the wrong type or out of range, or two that exclude each other.
    """

    step_size: float | Tensor | None = None
    grid_constructor: GridConstructor | None = None
    perturb: bool = False
    interp: str = "linear"
    max_order: int = MAX_ORDERS[1]

    def __post_init__(self) -> None:
        """Check each option."""
        if self.step_size is not None:
            _check_step_size(self.step_size)
        if self.grid_constructor is not None and not callable(self.grid_constructor):
            raise TypeError(f"`grid_constructor` is {self.grid_constructor!r}; give a callable (func, y0, t) -> grid")
        if self.step_size is not None and self.grid_constructor is not None:
            raise ValueError("`step_size` and `grid_constructor` are both given; each makes the grid: give one")
        check_flag("perturb", self.perturb)
        check_choice("interp", self.interp, ("linear", "cubic"))
        check_count("max_order", self.max_order)
        if not MAX_ORDERS[0] <= self.max_order <= MAX_ORDERS[1]:
            raise ValueError(
                f"`max_order` is {self.max_order}; give {MAX_ORDERS[0]} to {MAX_ORDERS[1]}, one more than the highest "
                "order of a step, or for less the method 'rk4', which is what torchdiffeq does then"
            )

    def grid(self, func: Callable[[Tensor, Tensor], Tensor], y0: Tensor, t: Tensor) -> Tensor:
        """The ends of all steps, from t[0] to t[-1]; `t` itself if nothing else is asked for.

        Raises:
            ValueError: what `grid_constructor` made does not run from t[0] to t[-1] in one direction.
        """
        if self.grid_constructor is not None:
            return _checked_grid(self.grid_constructor(func, y0, t), t)
        if self.step_size is None or len(t) == 1:
            return t
        return _even_grid(t, self.step_size)


def read_options(options: Mapping[str, Any] | None, method: str, argument: str = "options") -> Options:
    """The options of a method with fixed steps, checked; `argument` is what they came as.

    Raises:
        TypeError: something else than a mapping.
        ValueError: a name that has no effect on `method`; the message lists those that have one.
    """
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"`{argument}` is {type(options).__name__}; give a dictionary of options by name")
    given = {} if options is None else dict(options)
    known = [field.name for field in fields(Options) if field.name != "max_order" or method == ADAMS]
    for name in given:
        if name not in known:
            raise ValueError(f"`{argument}` has {name!r}, which has no effect on {method!r}; it may have {known}")
    return Options(**given)


def check_even(grid: Tensor) -> None:
    """All steps of the grid are equally long, but for the rounding of its times.

    Raises:
        ValueError: they are not, and a step says so.
    """
    steps = grid.detach().diff().double()
    if len(steps) < 2:
        return
    slack = 2 * max(WHOLE, 4 * torch.finfo(grid.dtype).eps) * float(grid.detach().abs().max())
    off = (steps - steps.mean()).abs()
    if bool((off > slack).any()):
        worst = int(off.argmax())
        raise ValueError(
            f"{ADAMS!r} has weights for even steps, and step {worst} of the grid is {float(steps[worst]):.6g} long "
            f"where the mean is {float(steps.mean()):.6g}: give a `step_size` that divides the span of `t` (the times "
            "between its points are interpolated), or evenly spaced `t`"
        )


def _check_step_size(step_size: float | Tensor) -> None:
    if not isinstance(step_size, Tensor):
        check_positive("step_size", step_size)
        return
    if step_size.numel() != 1 or not step_size.is_floating_point():
        raise TypeError(
            f"`step_size` has shape {tuple(step_size.shape)} and dtype {step_size.dtype}; give one floating number"
        )
    check_positive("step_size", float(step_size.detach()))


def _even_grid(t: Tensor, step_size: float | Tensor) -> Tensor:
    """t[0], then a point each step, and t[-1] instead of the last.

    Gradients flow to both ends of `t`, and to the step size if that is a tensor.
    """
    if isinstance(step_size, Tensor):
        step_size = step_size.reshape(()).to(device=t.device, dtype=t.dtype)
    length = float(step_size.detach()) if isinstance(step_size, Tensor) else step_size
    span = float(t[-1].detach()) - float(t[0].detach())
    quotient = abs(span) / length
    rounding = max(WHOLE, 4 * torch.finfo(t.dtype).eps) * quotient
    count = max(1, round(quotient) if abs(quotient - round(quotient)) <= rounding else ceil(quotient))
    step = step_size if span > 0 else -step_size
    inner = torch.arange(count, dtype=t.dtype, device=t.device) * step + t[0]
    return torch.cat((inner, t[-1:]))


def _checked_grid(grid: Tensor, t: Tensor) -> Tensor:
    if not isinstance(grid, Tensor) or grid.ndim != 1 or len(grid) == 0:
        raise ValueError("`grid_constructor` returned something else than a tensor of one dimension with the grid")
    if len(t) > 1:
        steps = grid.detach().diff() * (t[-1] - t[0]).detach()
        if not bool((steps > 0).all()):
            raise ValueError("`grid_constructor` returned a grid that does not run strictly from t[0] to t[-1]")
    if not (bool(grid[0] == t[0]) and bool(grid[-1] == t[-1])):
        raise ValueError(
            f"`grid_constructor` returned a grid from {float(grid[0])} to {float(grid[-1])}; make it run from t[0] = "
            f"{float(t[0])} to t[-1] = {float(t[-1])}, exactly"
        )
    return grid
