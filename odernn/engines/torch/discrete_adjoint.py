"""The exact discrete adjoint, parallel in time."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from solvers import Adjoint, Autograd, Checkpointed
from solvers.checks import check_count
from solvers.extend import (
    Problem,
    Save,
    Snapshot,
    Solved,
    refuse_transforms,
    snapshot_of,
    without_autocast,
)

from ...fields.field import is_partitioned
from ..carried import Carried, carried_of, carry_of
from ..gradient import counted
from ..method import Method
from ..problem import RecurrentProblem
from ..recurrence import Recurrence
from ..scheme import explicit_method
from .autograd_derivatives import AutogradDerivatives
from .operators import adjoints, by_vectors, solve_with
from .stepped import differentiable
from .stepper import Stepper
from .sweep import Forward, Recursion, SavedStates, Wanted, backward, forward, one_by_one, stepper_of


@final
@dataclass(frozen=True)
class DiscreteAdjoint(Adjoint):
    """The exact gradient of the discrete recurrence, with no tape: memory is the trajectory.

    The states at the samples are saved. From them the backward pass makes every stage of a chunk of time again at once,
    in a few large products; what stays sequential is linear in dL/dy, one small product a stage. The control's
    transform is made again chunk by chunk, so the control is never stored whole.

    It takes affine-pointwise fields with every explicit method that states its `schemes`. Of a method that carries more
    than the state it keeps the states at the substeps too, and of the other vectors those that a stage reads.
    For another field or method it falls back to `Checkpointed(every=1)`, which keeps the states too and makes each step
    again, one after the other. A backward pass with `create_graph=True` makes the steps again under autograd. Under
    torch.compile it is `Autograd`, and the compiler chooses what is saved.

    Args:
        recursion: what does the sequential part of a chunk: torch, or an engine's own.
        forward: what does the forward sweep: torch, or an engine's own.
        chunk: intervals that the backward pass recomputes together; None for as many as fit the processor's cache.

    Raises:
        TypeError, ValueError: `chunk` is neither None nor a whole number from 1.

    Source: the discrete adjoint of a Runge-Kutta method, as in Hager, Runge-Kutta methods in optimal control and the
    transformed adjoint system, Numer. Math. 87 (2000), 247-282; doing all times at once is our own arrangement.
    """

    recursion: Recursion = field(default=one_by_one, repr=False)
    forward: Forward = field(default=forward, repr=False)
    chunk: int | None = None

    def __post_init__(self) -> None:
        """Check the size of a chunk."""
        if self.chunk is not None:
            check_count("chunk", self.chunk)

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run without a tape, keeping the states at the samples."""
        if torch.compiler.is_compiling():
            return Autograd().solve(problem, save)
        refuse_transforms("discrete", problem)
        if not supports_parallel(problem):
            return Checkpointed(every=1).solve(problem, save)
        assert isinstance(problem, RecurrentProblem)
        if not torch.is_grad_enabled():
            return _infer(problem, save, self)
        return self._solve(problem, save)

    def _solve(self, problem: RecurrentProblem, save: Save) -> Solved:
        recurrence, carried = problem.recurrence, carried_of(problem)
        dt = recurrence.dt if isinstance(recurrence.dt, Tensor) else None
        snapshot = snapshot_of(problem, "discrete")
        outcome = _Discrete.apply(
            _Plan(problem, parallel_method(problem), recurrence, save, self, snapshot),
            *(problem.y0, *carried),
            *(recurrence.weight, recurrence.samples, recurrence.before, dt),
            *(problem.parameters() if problem.parameters is not None else ()),
        )
        if snapshot is not None:
            snapshot.settle()
        assert isinstance(outcome, tuple)
        last, others, *saved = outcome
        trajectory = at_samples(saved[0], len(saved[0]) // problem.length) if saved else None
        return Solved(trajectory, last, carry_of(problem, others))


def at_samples(saved: Tensor, every: int) -> Tensor:
    """The saved states at the ends of the intervals: all of them, not a view, if there are no others."""
    return saved if every == 1 else saved[every - 1 :: every]


def _infer(problem: RecurrentProblem, save: Save, adjoint: DiscreteAdjoint) -> Solved:
    """Without gradients nothing but the state is saved, and the trajectory if it is wanted."""
    recurrence = problem.recurrence
    plan = _Plan(problem, parallel_method(problem), recurrence, save, adjoint)
    stepper = plan.stepper(recurrence, problem.y0, carried_of(problem))
    saved, last, others, _ = plan.run(recurrence, stepper, problem.y0, save=save == "trajectory")
    trajectory = at_samples(saved, stepper.saved_per_interval) if save == "trajectory" else None
    return Solved(trajectory, last, carry_of(problem, others))


def supports_parallel(problem: Problem) -> bool:
    """Whether the parallel form takes the problem's field and method."""
    if not isinstance(problem, RecurrentProblem) or problem.solver.schemes is None:
        return False
    if problem.why_not_parallel() is not None:
        return False
    method = explicit_method(problem.solver, apart=_is_apart(problem))
    if method is None or method.family == "shears" or not method.moved:
        return method is not None
    return problem.moves_in_halves()


def _is_apart(problem: RecurrentProblem) -> bool:
    """Whether each half of the state has one preactivation, of the other half."""
    weight = problem.inputs[0]
    return is_partitioned(problem.field) and weight is not None and len(weight) == problem.y0.shape[-1]


def parallel_method(problem: RecurrentProblem) -> Method:
    """The method of a problem that the parallel form takes."""
    method = explicit_method(problem.solver, apart=_is_apart(problem))
    assert method is not None
    return method


@dataclass(frozen=True, slots=True)
class _Plan:
    problem: RecurrentProblem
    method: Method
    recurrence: Recurrence
    save: Save
    adjoint: DiscreteAdjoint
    snapshot: Snapshot | None = None

    def stepper(self, recurrence: Recurrence, y0: Tensor, carried: Carried) -> Stepper:
        """The method on a recurrence without a graph."""
        return stepper_of(self.method, recurrence, self.problem.substeps, y0, carried)

    def run(self, recurrence: Recurrence, stepper: Stepper, y0: Tensor, *, save: bool) -> tuple[Tensor, ...]:
        """What an operator's `solve` gives."""
        return solve_with(self.adjoint.forward, recurrence, stepper, y0, save=save, size=self.adjoint.chunk)


class _Discrete(torch.autograd.Function):
    """The recurrence as one differentiable operation: (last state, the one before, the saved states if asked for)."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: _Plan,
        y0: Tensor,
        vectors: Tensor | None,
        coefficients: Tensor | None,
        weight: Tensor,
        samples: Tensor,
        before: Tensor | None,
        dt: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        recurrence = _recurrence(plan, weight, samples, before, dt)
        stepper = plan.stepper(recurrence, y0, Carried(vectors, coefficients))
        saved, last, others, kept = plan.run(recurrence, stepper, y0, save=True)
        ctx.plan, ctx.parameters = plan, parameters  # saved too, for torch's check that nobody writes into them
        watched, ctx.writes = counted(saved)
        ctx.save_for_backward(y0, vectors, coefficients, weight, samples, before, dt, watched, kept, *parameters)
        ctx.set_materialize_grads(False)
        return (last, others, saved) if plan.save == "trajectory" else (last, others)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore
        tensors = ctx.saved_tensors  # once: checkpointing around it hands them out a single time
        snapshot = ctx.plan.snapshot
        with without_autocast(tensors[0]), nullcontext() if snapshot is None else snapshot.restored():
            if torch.is_grad_enabled():
                return _Discrete._pull_back_with_graph(ctx, tensors, gradients)
            return _Discrete._pull_back(ctx, tensors, gradients)

    @staticmethod
    def _pull_back_with_graph(
        ctx: Any, tensors: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...]
    ) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        _, *asked = ctx.needs_input_grad
        given = (plan.problem, plan.method, plan.save, tensors[:7], ctx.parameters)
        return None, *differentiable(*given, gradients, asked)

    @staticmethod
    def _pull_back(
        ctx: Any, tensors: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...]
    ) -> tuple[Tensor | None, ...]:
        y0, vectors, coefficients, weight, samples, before, dt, saved, kept, *_ = tensors
        plan, parameters = ctx.plan, ctx.parameters
        _, _, _, by_coefficients, by_weight, by_samples, by_before, by_dt, *by_parameters = ctx.needs_input_grad
        recurrence = _recurrence(plan, weight, samples, before, dt)
        carried = Carried(vectors, coefficients)
        stepper = plan.stepper(recurrence, y0, carried)
        if ctx.writes is not None and ctx.writes.has_changed():
            saved, _, _, kept = plan.run(recurrence, plan.stepper(recurrence, y0, carried), y0, save=True)
        stepper.take(kept, wants_coefficients=by_coefficients)
        given = [p for p, asked in zip(parameters, by_parameters, strict=True) if asked]
        facts = {"samples": by_samples, "before": by_before, "known": tuple(parameters)}
        derivatives = AutogradDerivatives(recurrence, plan.problem.substeps, given, **facts)
        last, others, grad_saved = (*gradients, None)[:3]
        swept = backward(
            recurrence,
            stepper,
            SavedStates(y0, saved),
            derivatives,
            adjoints(stepper.vectors, last, others, y0),
            grad_saved,
            Wanted(by_weight, by_dt),
            plan.adjoint.recursion,
            plan.adjoint.chunk,
        )
        grad_dt = None if swept.step is None or dt is None else _like(swept.step / plan.problem.substeps, dt)
        found = iter(derivatives.parameters)
        return (
            *(None, swept.adjoint[0], by_vectors(swept.adjoint, vectors), stepper.gradient_by_coefficients()),
            *(swept.weight, derivatives.samples, derivatives.before, grad_dt),
            *(next(found) if asked else None for asked in by_parameters),
        )


def _recurrence(plan: _Plan, weight: Tensor, samples: Tensor, before: Tensor | None, dt: Tensor | None) -> Recurrence:
    """The plan's recurrence of the tensors that the operation was given, without a graph."""
    return replace(
        plan.recurrence,
        weight=weight.detach().contiguous(),
        samples=samples.detach(),
        before=None if before is None else before.detach(),
        dt=plan.recurrence.dt if dt is None else dt.detach(),
    )


def _like(gradient: Tensor, dt: Tensor) -> Tensor:
    """A gradient (time, batch) as one by `dt`, (time,), (time, 1, 1) or (time, batch, 1)."""
    rows = dt.reshape(len(dt), -1)
    return gradient.sum_to_size(rows.shape).view_as(dt)
