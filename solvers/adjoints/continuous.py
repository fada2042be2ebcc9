"""The continuous adjoint: gradients by an equation of their own, integrated backward in time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from ..checks import check_count
from ..loop import Interval, Problem
from ..methods.runge_kutta import RK38, Euler, Heun, Heun3, Midpoint
from ..methods.step_control import step_limit_error, steps_exceeded
from ..methods.torchdiffeq import Flow, TorchdiffeqSolver, is_lost, scaled
from ..right_hand_side import Need
from ..solver import Carry, Solver
from .adjoint import Adjoint, Autograd, Save, Solved
from .closure import ClosureConverted
from .differentiable import CHUNK, DifferentiableInputs, GradientSums, differentiable_inputs, run_in_chunks
from .snapshot import Snapshot, snapshot_of
from .unsupported import refuse_second_derivative, refuse_transforms

_SAME = {Euler: "euler", Midpoint: "midpoint", Heun: "heun2", Heun3: "heun3", RK38: "rk4"}


@final
@dataclass(frozen=True)
class Continuous(Adjoint):
    """Gradients by the adjoint equation d lambda/dt = -(df/dy)^T lambda, through torchdiffeq's adjoint.

    The states are those of the problem's own solver, whichever it is. Backward, each interval is solved again from its
    stored first state, forward and then backward with the adjoint.

    Memory: the state at the end of each interval is all that is kept of it, which is the trajectory itself where that
    is asked for; besides, the gradients of the inputs that need one. A fixed amount comes on top: the control of
    `chunk` intervals and its gradient, and torchdiffeq's solution over one interval.

    The gradient is that of the exact flow between the stored states, and not of the numbers that the solver made: it
    differs from `Autograd`'s by the discretisation error, O(dt^order), and agrees only as dt goes to 0. Backward in
    time a damped field is unstable: within an interval rounding and error grow as exp(damping dt), which is why every
    interval starts again from its stored states; a field that is stiff within one interval needs another adjoint.
    What a multi-step or reversible solver carries besides y passes no gradient here. It has no second derivative and
    does not go through torch.func's transforms.

    Gradients flow to every tensor that f closes over: those are found by evaluating f, once for all under `integrate`
    and once an interval under a layer (see ClosureConverted). A right-hand side for which that fails is refused, in
    the forward or in the backward pass.

    Args:
        backward: how the adjoint equation is solved; None for the solver's own method and steps where torchdiffeq has
            them (Euler, Midpoint, Heun, Heun3, RK38, TorchdiffeqSolver), and dopri5 otherwise.
        chunk: intervals whose control is made together.

    Raises:
        TypeError, ValueError: `backward` is something else, or `chunk` is not a whole number from 1.

    Source: Chen, Rubanova, Bettencourt & Duvenaud, Neural ordinary differential equations (NeurIPS 2018), sec. 2,
    algorithm 1; Pontryagin et al., The mathematical theory of optimal processes (1962).
    """

    backward: TorchdiffeqSolver | None = None
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not isinstance(self.backward, TorchdiffeqSolver | None):
            raise TypeError(
                f"`backward` is {type(self.backward).__name__}; give a TorchdiffeqSolver, such as "
                "TorchdiffeqSolver('dopri5'), or None"
            )
        check_count("chunk", self.chunk)

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run the loop without a tape, an interval at a time."""
        if problem.solver.needs is Need.DIFFUSION:
            raise ValueError(
                f"`adjoint` is Continuous, whose equation knows no noise, and the solver is "
                f"{type(problem.solver).__name__}; use another adjoint, such as 'autograd'"
            )
        if not torch.is_grad_enabled():
            return Autograd().solve(problem, save)
        refuse_transforms("continuous", problem)
        backward = _counterpart(problem.solver, problem.substeps) if self.backward is None else self.backward
        backward.check_dtype(problem.y0.dtype)
        differentiable, snapshot = differentiable_inputs(problem), snapshot_of(problem, "continuous")
        run = _Run(problem, differentiable, backward, save, self.chunk, snapshot)
        y, trajectory = _Continuous.apply(run, problem.y0, *run.differentiable.originals)
        if run.snapshot is not None:
            run.snapshot.settle()
        return Solved(trajectory, y, run.carry)


def _counterpart(solver: Solver, substeps: int) -> TorchdiffeqSolver:
    """The method of `solver` in torchdiffeq, with as many steps in an interval; dopri5 for one that is not there."""
    if isinstance(solver, TorchdiffeqSolver):
        return solver if solver.adaptive else replace(solver, steps=solver.steps * substeps)
    name = _SAME.get(type(solver))  # pyright: ignore[reportArgumentType]
    return TorchdiffeqSolver() if name is None else TorchdiffeqSolver(name, steps=substeps)


class _Run:
    """One forward pass and what its backward pass needs to know.

    What f reads is looked for once here, so that what it reads out of sight is refused before any work.
    """

    def __init__(
        self,
        problem: Problem,
        differentiable: DifferentiableInputs,
        backward: TorchdiffeqSolver,
        save: Save,
        chunk: int,
        snapshot: Snapshot | None,
    ) -> None:
        self.problem = problem
        self.differentiable = differentiable
        self.backward = backward
        self.save = save
        self.chunk = chunk
        self.snapshot = snapshot
        self.carry: Carry = ()
        self.flow(problem.first(), problem.y0.detach())

    def flow(self, interval: Interval, y: Tensor) -> _Seen:
        """The flow through an interval, and what it reads."""
        flow = scaled(interval.f, interval.t, interval.dt)
        if self.problem.parameters is None:  # the leaves are in their places already
            return _Seen(flow, self.differentiable.leaves, self.differentiable.leaves)
        # in the dtype of the state, as torchdiffeq puts the gradients into one tensor with it: times have more digits
        dtype = None if y.is_complex() else y.dtype
        seen = ClosureConverted(flow, (y.new_zeros((), dtype=y.real.dtype), y), dtype)
        return _Seen(seen, seen.originals, seen.leaves)


class _Seen(NamedTuple):
    """A flow, the tensors that it reads, and the leaf that stands for each of them in the flow."""

    flow: Flow
    originals: tuple[Tensor, ...]
    leaves: tuple[Tensor, ...]


class _Continuous(torch.autograd.Function):
    """(y0, what the right-hand sides are made of) -> (the end, the trajectory if asked for)."""

    @staticmethod
    def forward(ctx: Any, run: _Run, y0: Tensor, *originals: Tensor) -> tuple[Tensor, Tensor | None]:
        """The solver's states, without a tape."""
        visited = y0.new_empty(run.problem.length, *y0.shape)
        y, run.carry = run_in_chunks(run.problem, visited.__setitem__, run.chunk)
        ctx.run = run
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y0, visited, *originals)  # the last for torch's check that nobody has written into them
        return y, visited if run.save == "trajectory" else None

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad_end: Tensor | None, grad_trajectory: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """All intervals, the last first."""
        refuse_second_derivative("continuous")
        y0, visited, *_ = ctx.saved_tensors
        backward_pass = _BackwardPass(ctx.run, y0, visited, grad_trajectory)
        snapshot = ctx.run.snapshot
        with nullcontext() if snapshot is None else snapshot.restored():
            return (
                None,
                backward_pass.pull_back(torch.zeros_like(y0) if grad_end is None else grad_end),
                *backward_pass.sums.totals,
            )


class _BackwardPass:
    """The backward pass through the stored states, chunk by chunk."""

    def __init__(self, run: _Run, y0: Tensor, visited: Tensor, grad_trajectory: Tensor | None) -> None:
        self.run = run
        self.y0 = y0
        self.visited = visited
        self.grad_trajectory = grad_trajectory
        self.sums = GradientSums(run.differentiable)

    def pull_back(self, gradient: Tensor) -> Tensor:
        """The gradient by y0, from that by the end; those by the originals are in `sums`."""
        length, chunk = self.run.problem.length, self.run.chunk
        for start in reversed(range(0, length, chunk)):
            gradient = self._run_chunk(start, min(start + chunk, length), gradient)
        return gradient

    def _run_chunk(self, start: int, stop: int, gradient: Tensor) -> Tensor:
        """The intervals from `start` to `stop`, made together under autograd."""
        origin = self.run.problem.origin
        low = max(origin + start - 1, 0)  # an interval may look at the entry before its own
        differentiable, found = self.run.differentiable, _FoundGradients()
        windows = differentiable.windows(low, origin + stop)
        with torch.enable_grad():
            intervals = differentiable.problem.layout(tuple(windows), origin + start, origin + stop, low)
        for n, interval in reversed(list(enumerate(intervals, start))):
            if self.grad_trajectory is not None:
                gradient = gradient + self.grad_trajectory[n]
            gradient = self._interval(interval, self.visited[n - 1] if n else self.y0, gradient, found)
        self.sums.add(found.pulled_back(differentiable.sources(windows)), low)
        return gradient

    def _interval(self, interval: Interval, y: Tensor, gradient: Tensor, found: _FoundGradients) -> Tensor:
        """One interval forward from `y` and, with the adjoint, backward, both by torchdiffeq."""
        y = y.detach().requires_grad_()
        flow, originals, leaves = self.run.flow(interval, y.detach())
        grad_start, *grad_leaves = _crossed_back(self.run.backward, flow, (y, *leaves), gradient)
        found.add(originals, grad_leaves)
        assert grad_start is not None  # torchdiffeq's adjoint gives zeros for what has no influence
        return grad_start.clone()  # a view into torchdiffeq's solution, as those by the leaves are


class _FoundGradients:
    """Gradients by tensors that are met again and again, in sums that share no memory with what is added."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Add a gradient by each tensor."""
        for tensor, gradient in zip(tensors, gradients, strict=True):
            if gradient is None:
                continue
            if id(tensor) in self._sums:
                self._sums[id(tensor)][1].add_(gradient)
            else:
                self._sums[id(tensor)] = (tensor, gradient.to(tensor.dtype, copy=True))

    def pulled_back(self, sources: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """The gradients by what the tensors are made of."""
        if not self._sums or not sources:
            return [None] * len(sources)
        tensors, gradients = zip(*self._sums.values(), strict=True)
        # the graph is kept since a weight's may be older than this chunk and shared with the next
        return torch.autograd.grad(tensors, sources, gradients, allow_unused=True, retain_graph=True)


def _crossed_back(
    backward: TorchdiffeqSolver, flow: Flow, sources: tuple[Tensor, ...], gradient: Tensor
) -> Sequence[Tensor | None]:
    """The gradients by the first state, the first of the sources, and by what the flow reads, the others."""
    try:
        with torch.enable_grad():
            end = backward.cross_by_adjoint(flow, sources[0], sources[1:])
        return torch.autograd.grad(end, sources, gradient, allow_unused=True)
    except AssertionError as error:
        if steps_exceeded(error):
            raise step_limit_error(backward.method, backward.max_num_steps, backward.rtol, backward.atol) from error
        if not is_lost(error):
            raise
        raise ArithmeticError(
            f"the adjoint equation was lost by step-size control ({error}); the field is stiff or diverges within an "
            "interval: use a smaller dt or another adjoint"
        ) from error
