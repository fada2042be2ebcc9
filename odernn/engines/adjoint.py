"""Operator: a problem run as one registered operator, whose gradient is the exact discrete adjoint."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import final

import torch
from torch import Tensor

from solvers import Adjoint
from solvers.checks import unwrapped
from solvers.extend import Problem, Save, Solved

from .lowering import lower
from .operators import TRITON
from .problem import RecurrentProblem
from .program import step_of_rows
from .torch.discrete_adjoint import at_samples, final_carry, previous_step


@final
@dataclass(frozen=True)
class Operator(Adjoint):
    """The exact discrete adjoint as a registered operator of one engine.

    It takes the fields made of a registered activation and an affine control, the explicit Runge-Kutta methods, the
    compositions of kicks and drifts and the two-step midpoint rule, and the two registered holds. A backward pass with
    `create_graph=True` makes the steps again under autograd. Inside autocast it works in float32.

    Args:
        namespace: the engine's operators in torch.ops.
    """

    namespace: str

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run, keeping the states at the samples if they or gradients are wanted."""
        assert isinstance(problem, RecurrentProblem)
        span, weight = problem.span, problem.inputs[0]
        assert weight is not None
        previous, dt_previous = _before(problem)
        call = lower(
            *(problem.field, problem.hold, problem.solver, problem.y0, weight, span.samples, problem.control),
            dt=steps_of(span.dt),
            before=span.before,
            substeps=problem.substeps,
            y_previous=previous,
            dt_previous=dt_previous,
            storage=problem.storage,
            packed=problem.storage is not None and save == "end",
            products=problem.products if self.namespace == TRITON else "float32",
        )
        arguments = call.arguments()
        saved, last, last_but_one = getattr(torch.ops, self.namespace).solve(
            *arguments, save == "trajectory" or needs_gradient(arguments)
        )
        if call.method.family != "two-step":
            return Solved(saved if save == "trajectory" else None, last, problem.carry or ())
        trajectory = at_samples(saved, problem.substeps) if save == "trajectory" else None
        return Solved(trajectory, last, final_carry(problem, last_but_one))


def needs_gradient(arguments: tuple[object, ...]) -> bool:
    """Whether a gradient may be asked for of what the operator returns."""
    tensors = [unwrapped(each) for each in arguments if isinstance(each, Tensor)]
    return torch.is_grad_enabled() and any(map(attrgetter("requires_grad"), tensors))


def _before(problem: Problem) -> tuple[Tensor | None, Tensor | None]:
    """The state and the step before, of the two-step rule that continues; the step (batch,)."""
    if not problem.carry:
        return None, None
    previous, dt = previous_step(problem)
    if previous is None or dt is None:
        return None, None
    return previous.contiguous(), step_of_rows(dt, previous)


def steps_of(dt: float | Tensor) -> float | Tensor:
    """The steps of a `Span` as the operators take them: a number, (time,), (batch, time) or (samples,)."""
    if not isinstance(dt, Tensor):
        return dt
    if dt.ndim == 2:
        return dt.flatten()
    flat = dt.reshape(dt.shape[0], -1)
    return (flat[:, 0] if flat.shape[1] == 1 else flat.T).contiguous()
