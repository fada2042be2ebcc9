"""torchdiffeq's methods as solvers: adaptive ones inside a step. The one module that imports torchdiffeq."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from ..checks import check_choice, check_count, check_positive, complex_numbers
from ..right_hand_side import RightHandSide, Time
from ..solver import Carry, Solver
from .step_control import MAX_NUM_STEPS, MOST_NUM_STEPS, check_full_precision, step_limit_error, steps_exceeded, watched

Flow = Callable[[Tensor, Tensor], Tensor]
"""dy/ds = flow(s, y), s running from 0 to 1 over one solver step."""


class _Method(NamedTuple):
    order: int
    stages: int
    adaptive: bool


_METHODS = MappingProxyType(
    {
        "dopri5": _Method(5, 7, True),
        "dopri8": _Method(8, 14, True),
        "bosh3": _Method(3, 4, True),
        "fehlberg2": _Method(2, 3, True),
        "adaptive_heun": _Method(2, 2, True),
        "euler": _Method(1, 1, False),
        "midpoint": _Method(2, 2, False),
        "heun2": _Method(2, 2, False),
        "heun3": _Method(3, 3, False),
        "rk4": _Method(4, 4, False),
        "explicit_adams": _Method(3, 1, False),
        "implicit_adams": _Method(4, 2, False),
    }
)
_ADAMS = ("explicit_adams", "implicit_adams")
_START = 2
"""The steps of the 3/8 rule with which torchdiffeq starts its Adams methods."""

_FAILURES = ("underflow in dt", "non-finite values in state")


@final
@dataclass(frozen=True)
class TorchdiffeqSolver(Solver):
    """One of torchdiffeq's methods, by its name there; its step-size control works inside each step of ours.

    A step integrates from t to t + dt in the scaled time s = (time - t) / dt from 0 to 1. So dt may be a tensor, one
    step a sample, or negative; late times lose no digits in float32; and no adaptive step reaches over a sample, where
    the control jumps. An adaptive method first tries the whole step at once, and with a loose tolerance is the plain
    Runge-Kutta method.

    What torchdiffeq 0.2.5 does that one should know, read in its source, with its issues where there is one:
        - The error norm runs over the whole batch: its samples share their steps, so a sample's result depends on the
          others, within the tolerance. A batch of one and a batch of eight agree to that and not to rounding.
        - Step-size control is not differentiated (the gradient is that of the accepted steps), and reads values back
          from the device in every attempt. Double precision is required of the device for time.
        - A right-hand side that is stiff or blows up ends in the assertion "underflow in dt" (issues 27, 57, 58, 244).
          Here the state comes back as NaN instead, so that it is reported as any other divergence.
        - The whole solution is one tensor written in place, a row an output time: differentiating one call for a whole
          sequence costs the square of its length. Here a call has two rows.
        - explicit_adams and implicit_adams raise their order with every step, up to 11 and 12, by coefficients for even
          steps; they start with two steps of the 3/8 rule, again in every step of ours. "rk4" is the 3/8 rule.
        - "scipy_solver" has no gradient, silently, and is therefore not offered.

    Args:
        method: its name in torchdiffeq; "dopri5" is Dormand and Prince's of order 5.
        rtol: the relative error allowed in an inner step, without unit; only adaptive and implicit methods look at it.
        atol: the absolute error allowed in an inner step, in the units of the state; likewise.
        steps: even inner steps of a fixed-step method; an adaptive one chooses its own.
        max_num_steps: inner steps, accepted or not, that an adaptive method may try in a step; no other looks at it.

    Attributes:
        order, stages: of the method.
        num_evals: evaluations in a step if every inner step is accepted at first sight: a lower bound.

    Raises:
        TypeError: an argument of the wrong type; in a step, a state in half precision (float16, bfloat16) under an
            adaptive method or implicit_adams.
        ValueError: an argument out of range, or an unknown method; in a step, tolerances below the rounding of the
            state, which no step can meet (half of the dtype's eps, relatively: 6e-8 in float32).
        ArithmeticError: in a step, `max_num_steps` inner steps did not do.

    Source: torchdiffeq 0.2.5; Hairer, Norsett & Wanner, Solving ODEs I, sec. II.4 and II.5.
    """

    family = "adaptive"
    method: str = "dopri5"
    rtol: float = 1e-7
    atol: float = 1e-9
    steps: int = 1
    max_num_steps: int = MAX_NUM_STEPS

    order = 5
    stages = 7
    num_evals = 7

    def __post_init__(self) -> None:
        """Run the checks, then take order, stages and evaluations from the method."""
        check_choice("method", self.method, tuple(_METHODS))
        check_positive("rtol", self.rtol)
        check_positive("atol", self.atol)
        check_count("steps", self.steps)
        check_count("max_num_steps", self.max_num_steps, most=MOST_NUM_STEPS)
        self._check_steps()
        method = _METHODS[self.method]
        evals = method.stages * self.steps
        if self.method in _ADAMS:
            evals = 4 * _START + method.stages * (self.steps - _START)
        for name, value in (("order", method.order), ("stages", method.stages), ("num_evals", evals)):
            object.__setattr__(self, name, value)

    @property
    def adaptive(self) -> bool:
        """Whether the method chooses its inner steps by the tolerances."""
        return _METHODS[self.method].adaptive

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """Nothing: every step starts the method again."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The state at s = 1, or NaN where step-size control lost the solution."""
        return self.cross(scaled(f, t, dt), y), carry

    def cross(self, flow: Flow, y: Tensor) -> Tensor:
        """The state at s = 1 from `y` at s = 0, differentiable through the inner steps."""
        self.check_dtype(y.dtype)
        ends = _unit_interval(y)
        guarded = watched(flow, self.rtol, self.atol, y.dtype) if self.adaptive else flow
        for options in self._attempts(ends):
            try:
                return torchdiffeq_package().odeint(
                    guarded, y, ends, rtol=self.rtol, atol=self.atol, method=self.method, options=options
                )[-1]
            except AssertionError as error:
                if steps_exceeded(error):
                    raise step_limit_error(self.method, self.max_num_steps, self.rtol, self.atol) from error
                if not is_lost(error):
                    raise
        return y * nan

    def cross_by_adjoint(self, flow: Flow, y: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """As `cross`, differentiable by torchdiffeq's adjoint equation: with respect to `y` and `parameters` only."""
        self.check_dtype(y.dtype)
        ends = _unit_interval(y)
        options = self._attempts(ends)[-1]
        backward = options | {"step_t": ends[:1]} if self.adaptive else options
        return torchdiffeq_package().odeint_adjoint(
            watched(flow, self.rtol, self.atol, y.dtype) if self.adaptive else flow,
            y,
            ends,
            rtol=self.rtol,
            atol=self.atol,
            method=self.method,
            options=options,
            adjoint_options=backward,
            adjoint_params=tuple(parameters),
        )[-1]

    def check_dtype(self, dtype: torch.dtype) -> None:
        """A state that the method can tell errors of.

        Raises:
            TypeError: half precision, for an adaptive method or implicit_adams.
        """
        if self.adaptive or self.method == "implicit_adams":
            check_full_precision(self.method, dtype)

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|exp(z)| of an adaptive method, to its tolerance; that of the inner steps themselves of a fixed-step one."""
        z = complex_numbers("z", z)
        if self.adaptive:
            return torch.exp(z.real)
        return self.cross(lambda s, y: z * y, torch.ones_like(z)).abs()

    def _attempts(self, ends: Tensor) -> list[dict[str, Any]]:
        """The options to try in turn: the whole step at once, then torchdiffeq's own choice of the first inner step.

        `step_t` ends an inner step at s = 1: without it the last one overshoots and the answer is interpolated, with
        f evaluated beyond the end of the interval.
        """
        if not self.adaptive:
            grid = torch.linspace(0, 1, self.steps + 1, dtype=ends.dtype, device=ends.device)
            return [{"grid_constructor": lambda func, y0, t: grid if t[0] == 0 else 1 - grid}]
        controlled = {"step_t": ends[1:], "max_num_steps": self.max_num_steps}
        return [controlled | {"first_step": 1.0}, controlled]

    def _check_steps(self) -> None:
        if self.adaptive and self.steps != 1:
            raise ValueError(f"`steps` is {self.steps} and {self.method!r} chooses its own; leave `steps` away")
        if self.method in _ADAMS and self.steps <= _START:
            raise ValueError(
                f"`steps` is {self.steps}; {self.method!r} starts with {_START} steps of the 3/8 rule in every solver "
                f"step: give {_START + 1} or more, or the method 'rk4'"
            )


def scaled(f: RightHandSide, t: Time, dt: Time) -> Flow:
    """dy/ds = dt f(t + s dt, y): the step from `t` to `t + dt` in the scaled time s.

    `f` gets its time as a number where `t` and `dt` are numbers, and as a tensor otherwise.
    """
    return lambda s, y: dt * f(_time(t, dt, s.detach()), y)


def is_lost(error: AssertionError) -> bool:
    """Whether this is how torchdiffeq reports that step-size control lost the solution."""
    return str(error).startswith(_FAILURES)


def _time(t: Time, dt: Time, s: Tensor) -> Time:
    if isinstance(t, Tensor) or isinstance(dt, Tensor):
        return t + s * dt
    return t + float(s) * dt


def _unit_interval(y: Tensor) -> Tensor:
    return torch.tensor([0.0, 1.0], dtype=y.real.dtype, device=y.device)


def torchdiffeq_package() -> ModuleType:
    """The package, imported when it is first needed."""
    import torchdiffeq  # here and not above: it brings scipy, half a second that only its users should pay

    return torchdiffeq
