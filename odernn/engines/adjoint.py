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

from .carried import carried_of, carry_of
from .lowering import lower
from .problem import RecurrentProblem
from .program import Call
from .torch.discrete_adjoint import at_samples


@final
@dataclass(frozen=True)
class Operator(Adjoint):
    """The exact discrete adjoint as a registered operator of one engine.

    It takes the fields made of a registered activation and an affine control, every explicit method that states its
    schemes, the exponential ones on blocks, and the two registered holds. A backward pass with `create_graph=True`
    makes the steps again under autograd. Inside autocast it works in float32, but for products on request.

    Args:
        namespace: the engine's operators in torch.ops.
        heeds_autocast: whether they take products as autocast asks.
    """

    namespace: str
    heeds_autocast: bool = False

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run, keeping the states at the samples if they or gradients are wanted."""
        assert isinstance(problem, RecurrentProblem)
        span, weight = problem.span, problem.inputs[0]
        assert weight is not None
        call = lower(
            *(problem.field, problem.hold, problem.solver, problem.y0, weight, span.samples, problem.control),
            dt=steps_of(span.dt),
            before=span.before,
            substeps=problem.substeps,
            carried=carried_of(problem),
            storage=problem.storage,
            packed=problem.storage is not None and save == "end",
            products=problem.products if self.heeds_autocast else "float32",
        )
        return solved(problem, self.namespace, call, save)


def solved(problem: RecurrentProblem, namespace: str, call: Call, save: Save) -> Solved:
    """The problem's solution by an engine's operator of the call that it makes."""
    arguments = call.arguments()
    kept = save == "trajectory" or needs_gradient(arguments)
    saved, last, others, _ = getattr(torch.ops, namespace).solve(*arguments, kept)
    every = problem.substeps if call.method.family == "general-linear" else 1
    trajectory = at_samples(saved, every) if save == "trajectory" else None
    return Solved(trajectory, last, carry_of(problem, others))


def needs_gradient(arguments: tuple[object, ...]) -> bool:
    """Whether a gradient may be asked for of what the operator returns."""
    tensors = [unwrapped(each) for each in arguments if isinstance(each, Tensor)]
    return torch.is_grad_enabled() and any(map(attrgetter("requires_grad"), tensors))


def steps_of(dt: float | Tensor) -> float | Tensor:
    """The steps of a `Span` as the operators take them: a number, (time,), (batch, time) or (samples,)."""
    if not isinstance(dt, Tensor):
        return dt
    if dt.ndim == 2:
        return dt.flatten()
    flat = dt.reshape(dt.shape[0], -1)
    return (flat[:, 0] if flat.shape[1] == 1 else flat.T).contiguous()
