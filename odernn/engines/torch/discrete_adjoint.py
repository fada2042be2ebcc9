"""The exact discrete adjoint, parallel in time."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from solvers import Adjoint, Autograd, Checkpointed, LeapfrogMidpoint, SplittingMethod
from solvers.checks import check_count
from solvers.extend import (
    Carry,
    Problem,
    Save,
    Snapshot,
    Solved,
    refuse_transforms,
    snapshot_of,
    without_autocast,
)

from ..problem import RecurrentProblem
from ..recurrence import Recurrence
from ..written import counted
from .autograd_derivatives import AutogradDerivatives
from .stepped import differentiable
from .stepper import Stepper
from .sweep import Forward, Recursion, SavedStates, Wanted, backward, forward, is_parallel, one_by_one, stepper_of
from .two_step import TwoStepStepper


@final
@dataclass(frozen=True)
class DiscreteAdjoint(Adjoint):
    """The exact gradient of the discrete recurrence, with no tape: memory is the trajectory.

    The states at the samples are saved. From them the backward pass makes every stage of a chunk of time again at once,
    in a few large products; what stays sequential is linear in dL/dy, one small product a stage. The control's
    transform is made again chunk by chunk, so the control is never stored whole.

    It takes affine-pointwise fields, with the explicit Runge-Kutta methods, the compositions of kicks and drifts, and
    the two-step midpoint rule, of which it keeps the states at the substeps too.
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
        recurrence = problem.recurrence
        if not torch.is_grad_enabled():
            return _infer(problem, recurrence, save, self)
        return self._solve(problem, recurrence, save)

    def _solve(self, problem: RecurrentProblem, recurrence: Recurrence, save: Save) -> Solved:
        previous, dt_previous = previous_step(problem)
        dt = recurrence.dt if isinstance(recurrence.dt, Tensor) else None
        snapshot = snapshot_of(problem, "discrete")
        outcome = _Discrete.apply(
            _Plan(problem, recurrence, save, self, dt_previous, snapshot),
            *(problem.y0, previous, dt_previous if isinstance(dt_previous, Tensor) else None),
            *(recurrence.weight, recurrence.samples, recurrence.before, dt),
            *(problem.parameters() if problem.parameters is not None else ()),
        )
        if snapshot is not None:
            snapshot.settle()
        assert isinstance(outcome, tuple)
        last, last_but_one, *saved = outcome
        every = problem.substeps if isinstance(problem.solver, LeapfrogMidpoint) else 1
        trajectory = at_samples(saved[0], every) if saved else None
        return Solved(trajectory, last, final_carry(problem, last_but_one))


def at_samples(saved: Tensor, every: int) -> Tensor:
    """Of the saved states those at the ends of the intervals: all of them, not a view, if there are no others."""
    return saved if every == 1 else saved[every - 1 :: every]


def _infer(problem: RecurrentProblem, recurrence: Recurrence, save: Save, adjoint: DiscreteAdjoint) -> Solved:
    """Without gradients nothing but the state is saved, and the trajectory if it is wanted."""
    previous, dt_previous = previous_step(problem)
    plan = _Plan(problem, recurrence, save, adjoint, dt_previous)
    stepper = plan.stepper(recurrence, problem.y0, previous, None)
    last, other, saved = _run(plan, recurrence, stepper, problem.y0, save=save == "trajectory")
    trajectory = None if saved is None else at_samples(saved, stepper.saved_per_interval)
    return Solved(trajectory, last, final_carry(problem, other))


def supports_parallel(problem: Problem) -> bool:
    """Whether the parallel form takes the problem's field and method."""
    if not isinstance(problem, RecurrentProblem) or not is_parallel(problem.solver):
        return False
    if problem.why_not_parallel() is not None:
        return False
    if not isinstance(problem.solver, SplittingMethod):
        return True
    recurrence = problem.recurrence  # each half of a partition has one preactivation, of the other half
    return recurrence.scheme.partitioned and len(recurrence.weight) == problem.y0.shape[-1]


def previous_step(problem: Problem) -> tuple[Tensor | None, float | Tensor | None]:
    """The state before the initial one and the step from it, of a two-step method that continues."""
    if not isinstance(problem.solver, LeapfrogMidpoint) or not problem.carry:
        return None, None
    previous, dt = problem.carry
    assert isinstance(previous, Tensor)
    return previous, dt


def final_carry(problem: RecurrentProblem, last_but_one: Tensor) -> Carry:
    """What the solver carries on: of the two-step rule the last state but one and the last step."""
    if not isinstance(problem.solver, LeapfrogMidpoint):
        return problem.carry or ()
    dt, storage = problem.span.dt, problem.storage
    last = dt[-1] if isinstance(dt, Tensor) else dt
    if isinstance(dt, Tensor) and storage is not None:
        last = dt[0, storage.ends].unsqueeze(1)
    return last_but_one, last / problem.substeps


@dataclass(frozen=True, slots=True)
class _Plan:
    problem: RecurrentProblem
    recurrence: Recurrence
    save: Save
    adjoint: DiscreteAdjoint
    dt_previous: float | Tensor | None
    snapshot: Snapshot | None = None

    def stepper(self, recurrence: Recurrence, y0: Tensor, previous: Tensor | None, dt: Tensor | None) -> Stepper:
        """The method on a recurrence without a graph; the step before may be a number that is not a tensor."""
        step = self.dt_previous if dt is None else dt
        step = step.detach().reshape(-1, 1) if isinstance(step, Tensor) else step
        before = None if previous is None or step is None else (previous, step)
        return stepper_of(self.problem.solver, recurrence, self.problem.substeps, y0, before)


def _run(
    plan: _Plan, recurrence: Recurrence, stepper: Stepper, y0: Tensor, *, save: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """(the last state, of the two-step rule the one before, the saved states or None)."""
    saved = y0.new_empty(recurrence.length * stepper.saved_per_interval, *y0.shape) if save else None
    adjoint = plan.adjoint
    last = adjoint.forward(recurrence, stepper, plan.problem.substeps, y0, saved, adjoint.chunk).clone()
    other = stepper.last_but_one.clone() if isinstance(stepper, TwoStepStepper) else y0.new_empty(0)
    return last, other, saved


def _again(plan: _Plan, recurrence: Recurrence, stepper: Stepper, y0: Tensor) -> Tensor:
    """The saved states, from a second forward pass."""
    *_, saved = _run(plan, recurrence, stepper, y0, save=True)
    assert saved is not None
    return saved


class _Discrete(torch.autograd.Function):
    """The recurrence as one differentiable operation: (last state, the one before, the saved states if asked for)."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: _Plan,
        y0: Tensor,
        previous: Tensor | None,
        dt_previous: Tensor | None,
        weight: Tensor,
        samples: Tensor,
        before: Tensor | None,
        dt: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        recurrence = _recurrence(plan, weight, samples, before, dt)
        stepper = plan.stepper(recurrence, y0, previous, dt_previous)
        last, other, saved = _run(plan, recurrence, stepper, y0, save=True)
        assert saved is not None
        ctx.plan, ctx.parameters = plan, parameters  # saved too, for torch's check that nobody writes into them
        watched, ctx.writes = counted(saved)
        ctx.save_for_backward(y0, previous, dt_previous, weight, samples, before, dt, watched, *parameters)
        ctx.set_materialize_grads(False)
        return (last, other, saved) if plan.save == "trajectory" else (last, other)

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
        given = (tensors[:7], ctx.parameters, plan.dt_previous)
        return None, *differentiable(plan.problem, plan.save, *given, gradients, asked)

    @staticmethod
    def _pull_back(
        ctx: Any, tensors: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...]
    ) -> tuple[Tensor | None, ...]:
        y0, previous, dt_previous, weight, samples, before, dt, saved, *_ = tensors
        plan, parameters = ctx.plan, ctx.parameters
        _, _, _, by_dt_previous, by_weight, by_samples, by_before, by_dt, *by_parameters = ctx.needs_input_grad
        recurrence = _recurrence(plan, weight, samples, before, dt)
        stepper = plan.stepper(recurrence, y0, previous, dt_previous)
        if ctx.writes is not None and ctx.writes.has_changed():
            saved = _again(plan, recurrence, plan.stepper(recurrence, y0, previous, dt_previous), y0)
        given = [p for p, asked in zip(parameters, by_parameters, strict=True) if asked]
        facts = {"samples": by_samples, "before": by_before, "known": tuple(parameters)}
        derivatives = AutogradDerivatives(recurrence, plan.problem.substeps, given, **facts)
        last, other, grad_saved = (*gradients, None)[:3]
        swept = backward(
            recurrence,
            stepper,
            SavedStates(y0, saved, previous),
            derivatives,
            [_buffer_of(g, y0) for g in (last, other)],
            grad_saved,
            Wanted(by_weight, by_dt or by_dt_previous),
            plan.adjoint.recursion,
            plan.adjoint.chunk,
        )
        grad_dt = None if swept.step is None or dt is None else _like(swept.step / plan.problem.substeps, dt)
        grad_dt_previous = stepper.previous_step_gradient
        if grad_dt_previous is not None and dt_previous is not None:
            grad_dt_previous = (
                grad_dt_previous.unsqueeze(-1).sum_to_size(dt_previous.reshape(-1, 1).shape).view_as(dt_previous)
            )
        found = iter(derivatives.parameters)
        return (
            *(None, swept.adjoint[0], None if previous is None else swept.adjoint[1], grad_dt_previous),
            *(swept.weight, derivatives.samples, derivatives.before, grad_dt),
            *(next(found) if asked else None for asked in by_parameters),
        )


def _buffer_of(gradient: Tensor | None, y0: Tensor) -> Tensor:
    """A contiguous copy of a gradient by a state, to be worked in; zeros if there is none."""
    if gradient is None or not gradient.numel():
        return y0.new_zeros(y0.shape)
    return gradient.clone(memory_format=torch.contiguous_format)


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
