"""integrate(): check the arguments, run the loop, and return the solution."""

from __future__ import annotations

from dataclasses import dataclass
from math import ulp
from typing import get_args

import torch
from torch import Tensor

from .adjoints.adjoint import Adjoint, Save
from .adjoints.registry import make_adjoint
from .checks import check_choice, check_number, check_positive, check_state
from .divergence import POLICIES, OnDivergence, check_divergence, finite
from .grid import uniform_grid
from .loop import Interval, problem_of
from .methods.registry import as_solver
from .requirements import check_requirements
from .right_hand_side import RightHandSide
from .solver import Carry, Solver
from .user_function import prepared

MOST_STEPS = 10**8
"""Steps of one call: an hour and ten gigabytes of times."""


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer of `integrate`.

    Attributes:
        t: the times of `y`, float64 on the CPU: (steps + 1,) for a trajectory, the first is t0; () for only the end.
        y: the states, (steps + 1, *shape of y0) for a trajectory, the first is y0; (*shape of y0) for only the end.
        carry: what the solver carries besides y.
        num_evals: evaluations of f, the solver's nominal number a step.
        finite: a bool tensor (), whether the end is finite; always true unless divergence was asked not to raise.
    """

    t: Tensor
    y: Tensor
    carry: Carry
    num_evals: float
    finite: Tensor


def integrate(
    f: RightHandSide,
    y0: Tensor,
    *,
    t0: float = 0.0,
    t1: float,
    dt: float,
    solver: Solver | str,
    save: Save = "trajectory",
    adjoint: Adjoint | str = "autograd",
    on_divergence: OnDivergence = "raise",
) -> Solution:
    """Integrate dy/dt = f(t, y) from `t0` to `t1` with fixed steps.

    Args:
        f: any callable (t, y) -> dy/dt of the shape, dtype and device of `y`; t is a tensor (), float64 where that
            does not widen the result. A `Partition` for the methods that need one.
        y0: the state at `t0`, of any shape, floating or complex, on any device.
        t0: the start time.
        t1: the end time; before `t0` to go back in time.
        dt: the length of a step, positive. Where it does not divide the span, the last step is shorter.
        solver: the method, a Solver or its name in SOLVERS.
        save: "trajectory" for every state, or "end" for only the last.
        adjoint: how gradients flow, an Adjoint or its name.
        on_divergence: what to do when the state stops being finite: "raise" a DivergenceError, "warn" with a
            DivergenceWarning, or "ignore" (reads nothing back from the device; `Solution.finite` tells).

    Raises:
        TypeError: an argument of the wrong type, or f returns something else than a tensor like `y0`.
        ValueError: an argument out of its range, or a solver that needs what `f` does not have.
        DivergenceError: the state stopped being finite.
    """
    solver = as_solver(solver)
    _check_arguments(f, y0, t0, t1, dt, solver, save, on_divergence)
    grid = uniform_grid(float(t0), float(t1), float(dt))
    prepared_f = prepared(f)
    intervals = [Interval(prepared_f, t, step) for t, step in grid]
    problem = problem_of(solver, intervals, y0)
    solved = make_adjoint(adjoint).solve(problem, save)
    check_divergence(problem, solved, on_divergence)
    times = [t for t, _ in grid] + [float(t1)]
    return Solution(
        t=torch.tensor(times if save == "trajectory" else times[-1], dtype=torch.float64, device="cpu"),
        y=solved.y if solved.trajectory is None else torch.cat((y0.unsqueeze(0), solved.trajectory)),
        carry=solved.carry,
        num_evals=solver.num_evals * len(grid),
        finite=finite(solved.y, solved.carry),
    )


def _check_arguments(
    f: RightHandSide,
    y0: Tensor,
    t0: float,
    t1: float,
    dt: float,
    solver: Solver,
    save: Save,
    on_divergence: OnDivergence,
) -> None:
    if not callable(f):
        raise TypeError(f"`f` is {type(f).__name__}; give a callable (t, y) -> dy/dt")
    check_state("y0", y0)
    check_number("t0", t0)
    check_number("t1", t1)
    check_positive("dt", dt)
    if t0 == t1:
        raise ValueError(f"`t1` equals `t0` ({t0}); there is nothing to integrate: give two different times")
    _check_steps(float(t0), float(t1), float(dt))
    check_choice("save", save, get_args(Save))
    check_choice("on_divergence", on_divergence, POLICIES)
    check_requirements(solver, f, y0, type(f).__name__)


def _check_steps(t0: float, t1: float, dt: float) -> None:
    """Steps that move the time, and no more of them than anyone waits for."""
    spacing = max(ulp(t0), ulp(t1))
    if dt < spacing:
        raise ValueError(
            f"`dt` is {dt}, less than the distance of the numbers around `t0` = {t0} and `t1` = {t1}, {spacing:.3g}: "
            "give a longer step, or times nearer to zero"
        )
    if not abs(t1 - t0) <= MOST_STEPS * dt:
        raise ValueError(
            f"`dt` is {dt}, which makes more than {MOST_STEPS} steps from `t0` = {t0} to `t1` = {t1}: give a longer "
            "step"
        )
