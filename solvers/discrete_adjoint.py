"""The exact discrete adjoint, parallel in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .adjoint import Adjoint, Save, Solved
from .checkpointed import Checkpointed
from .chunk import Chunk
from .explicit_rk import ExplicitRungeKutta
from .gradient_sums import GradientSums, chunk_bounds
from .leapfrog_midpoint import LeapfrogMidpoint
from .loop import Problem, states
from .pull_back import Gradients, runge_kutta, splitting
from .recurrence import Recurrence
from .solver import Solver
from .splitting import SplittingMethod
from .two_step_adjoint import solve_two_step

PullBack = Callable[[Chunk, Tensor, Tensor, Gradients], Tensor]
"""(chunk, states at the starts, dL/dy at the end, dL/dy of the outputs) -> dL/dy at the start of the chunk."""


@final
@dataclass(frozen=True)
class DiscreteAdjoint(Adjoint):
    """The exact gradient of the discrete recurrence, with no tape: memory is the trajectory.

    The states at the samples are kept. From them the backward pass makes every stage of a chunk of time again at once,
    in a few large products; what stays sequential is linear in dL/dy, one small product a stage. The control's
    transform is made anew chunk by chunk, so the control is never stored whole.

    It takes affine-pointwise fields, with the explicit Runge-Kutta methods, the compositions of kicks and drifts, and
    the two-step midpoint rule, of which it keeps the states at the substeps too.
    For another field or method it falls back to `Checkpointed(every=1)`, which keeps the states too and makes each step
    again, one after the other. It can be differentiated once.

    Source: the discrete adjoint of a Runge-Kutta method, as in Hager, Runge-Kutta methods in optimal control and the
    transformed adjoint system, Numer. Math. 87 (2000), 247-282; doing all times at once is our own arrangement.
    """

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run without a tape, keeping the states at the samples."""
        recurrence = problem.recurrence
        if recurrence is None or not torch.is_grad_enabled():
            return Checkpointed(every=1).solve(problem, save)
        if isinstance(problem.solver, LeapfrogMidpoint):
            return solve_two_step(problem, recurrence, save)
        pull_back = _pull_back(problem)
        if pull_back is None:
            return Checkpointed(every=1).solve(problem, save)
        plan = _Plan(problem, recurrence, pull_back, save)
        dt = recurrence.dt if isinstance(recurrence.dt, Tensor) else None
        outcome = _Discrete.apply(
            plan,
            problem.y0,
            recurrence.weight,
            recurrence.samples,
            recurrence.before,
            dt,
            *(problem.parameters or ()),
        )
        assert isinstance(outcome, Tensor)
        memory = problem.start()
        return Solved(outcome, outcome[-1], memory) if save == "trajectory" else Solved(None, outcome, memory)


def takes(problem: Problem) -> bool:
    """Whether the parallel form takes the problem's field and method."""
    return problem.tensor_form is not None and is_parallel(problem.solver)


def is_parallel(solver: Solver) -> bool:
    """Whether there is a parallel form of the method."""
    return isinstance(solver, ExplicitRungeKutta | SplittingMethod | LeapfrogMidpoint)


def _pull_back(problem: Problem) -> PullBack | None:
    """The recursion of the problem's method, or None if there is none."""
    solver = problem.solver
    if isinstance(solver, ExplicitRungeKutta):
        tableau = solver.tableau
        return lambda chunk, starts, end, later: runge_kutta(chunk, tableau, starts, end, later)
    if isinstance(solver, SplittingMethod):
        return lambda chunk, starts, end, later: splitting(chunk, solver, starts, end, later)
    return None


@dataclass(frozen=True, slots=True)
class _Plan:
    problem: Problem
    recurrence: Recurrence
    pull_back: PullBack
    save: Save

    def bounds(self) -> list[tuple[int, int]]:
        """The chunks of the sequence, in order."""
        each = self.problem.y0.numel() * self.problem.solver.stages * self.problem.substeps
        return chunk_bounds(self.problem.length, each)


class _Discrete(torch.autograd.Function):
    """The recurrence as one differentiable operation."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: _Plan,
        y0: Tensor,
        weight: Tensor,
        samples: Tensor,
        before: Tensor | None,
        dt: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        problem = plan.problem
        trajectory = y0.new_empty(problem.length, *y0.shape)
        y, memory = y0, problem.memory
        for start, stop in plan.bounds():
            part = problem.segment(start, stop, y, memory)
            for n, state in enumerate(states(part), start):
                y, memory = state
                trajectory[n] = y
        ctx.plan = plan
        ctx.parameters = parameters
        ctx.save_for_backward(y0, weight, samples, before, dt, trajectory)
        return trajectory if plan.save == "trajectory" else trajectory[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outcome_gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        y0, weight, samples, before, dt, trajectory = ctx.saved_tensors
        plan: _Plan = ctx.plan
        (outcome_gradient,) = outcome_gradients
        recurrence = Recurrence(
            plan.recurrence.scheme, weight, samples, before, plan.recurrence.dt if dt is None else dt
        )
        sums = GradientSums(recurrence, ctx.parameters, ctx.needs_input_grad[2:])
        whole = plan.save == "trajectory"
        gradient = torch.zeros_like(y0) if whole else outcome_gradient
        for start, stop in reversed(plan.bounds()):
            opened = sums.open(start, stop, plan.problem.substeps)
            starts = _starts(y0, trajectory, start, stop)
            later = outcome_gradient[start:stop].unbind(0) if whole else None
            gradient = plan.pull_back(opened, starts, gradient, later)
            sums.close(opened, start, stop)
        return (None, gradient, *sums.outcome())


def _starts(y0: Tensor, trajectory: Tensor, start: int, stop: int) -> Tensor:
    """The states at the starts of the intervals from `start` to `stop` (time, batch, n)."""
    if start:
        return trajectory[start - 1 : stop - 1]
    return torch.cat((y0.unsqueeze(0), trajectory[: stop - 1]))
