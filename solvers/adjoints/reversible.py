"""Gradients without a trajectory: the backward pass steps back in time and makes each state again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any, final

import torch
from torch import Tensor

from ..checks import check_count, check_positive
from ..loop import Problem
from ..requirements import refuse_inverse
from ..right_hand_side import Need, RightHandSide, Time
from ..solver import Carry, ReversibleSolver
from .adjoint import Adjoint, Autograd, Save, Solved
from .differentiable import CHUNK, DifferentiableInputs, GradientSums, differentiable_inputs, run_in_chunks
from .reconstruction import Comparison, Sizes
from .snapshot import Snapshot, snapshot_of
from .unsupported import refuse_second_derivative, refuse_transforms

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
"""Half of the digits of the dtype, about: what is left of a gradient made of states that are so far off."""


class ReconstructionError(ArithmeticError):
    """The states made again by stepping back are too far from those of the forward pass.

    Attributes:
        error: the largest distance of a sample's state from the true one after the first step, relative to the size
            of the states along the way.
        tolerance: what was allowed.
    """

    def __init__(self, message: str, error: float, tolerance: float) -> None:
        super().__init__(message, error, tolerance)  # all of them: an exception is pickled by its `args`
        self.error = error
        self.tolerance = tolerance

    def __str__(self) -> str:
        """The message."""
        return str(self.args[0])


@final
@dataclass(frozen=True)
class Reversible(Adjoint):
    """No state is kept but the last: memory does not grow with time when only the end is asked for.

    The backward pass undoes every step with the method's inverse and makes it again to differentiate it. Undoing a step
    that damps amplifies rounding by exp(damping t) at worst, and so do the unstable directions of any field. Therefore,
    before a gradient is given out, the state that was reached is compared with the true one at the start, relative to
    the size of the states along the way (see Comparison): if it is further off than `tolerance` the gradient is
    refused. Both numbers are in the error. It has no second derivative and does not go through torch.func's transforms.

    The whole gradient is relatively off by at most twenty times that error, and by the rounding that any gradient has,
    in all the cases that the tests try: neutral, damped and unstable fields, from zero and from elsewhere. That is
    measured, not proved; the gradient by y0 by itself, tiny where the field is damped, can be off by more.

    Args:
        tolerance: the relative distance that is allowed; by default 1e-8 in float64 and 1e-3 in float32. Infinity takes
            any gradient.
        chunk: intervals whose control is made together in the forward pass.

    Raises:
        TypeError, ValueError: a tolerance that is not above zero, a chunk that is not a whole number from 1, or a
            solver that has no inverse step.
        ReconstructionError: in the backward pass, the states could not be made again.

    Source: Gomez et al., The reversible residual network (2017); Zhuang et al., MALI (2021); Kidger et al., Efficient
    and accurate gradients for neural SDEs (2021).
    """

    tolerance: float | None = None
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        """Check the arguments; a tolerance of infinity is allowed."""
        check_count("chunk", self.chunk)
        if self.tolerance is not None and not (isinstance(self.tolerance, float) and self.tolerance == inf):
            check_positive("tolerance", self.tolerance)

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run without a tape, keeping nothing but what is asked for."""
        if not isinstance(problem.solver, ReversibleSolver):
            raise ValueError(
                f"the reversible adjoint needs a solver with an inverse step and {type(problem.solver).__name__} has "
                "none; take ReversibleHeun, AsynchronousLeapfrog, LeapfrogMidpoint, Leapfrog, or another adjoint"
            )
        if not torch.is_grad_enabled():
            return Autograd().solve(problem, save)
        if problem.solver.needs is Need.PARTITION:
            refuse_inverse(problem.solver, problem.first().f)
        refuse_transforms("reversible", problem)
        run = _Run(problem, differentiable_inputs(problem), save, self._allowed(problem.y0.dtype), self.chunk)
        run.snapshot = snapshot = snapshot_of(problem, "reversible")  # after the start, where noise draws its seed
        y, *rest = _Reversible.apply(run, problem.y0, *tensors_of(run.carry), *run.differentiable.originals)
        if snapshot is not None:
            snapshot.settle()
        trajectory = rest.pop() if save == "trajectory" else None
        return Solved(trajectory, y, refilled(run.final, rest))

    def _allowed(self, dtype: torch.dtype) -> float:
        if self.tolerance is not None:
            return self.tolerance
        return TOLERANCE.get(dtype, sqrt(torch.finfo(dtype).eps))


def tensors_of(carry: Carry) -> list[Tensor]:
    """The parts of a carry that are tensors."""
    return [part for part in carry if isinstance(part, Tensor)]


def refilled(carry: Carry, tensors: Sequence[Tensor]) -> Carry:
    """The carry with other tensors in place of its own."""
    given = iter(tensors)
    return tuple(next(given) if isinstance(part, Tensor) else part for part in carry)


class _Run:
    """One forward pass and what its backward pass needs to know."""

    def __init__(
        self, problem: Problem, differentiable: DifferentiableInputs, save: Save, tolerance: float, chunk: int
    ) -> None:
        self.problem = problem
        self.differentiable = differentiable
        self.save = save
        self.tolerance = tolerance
        self.chunk = chunk
        self.snapshot: Snapshot | None = None
        self.carry = problem.start()
        self.final: Carry = ()
        self.sizes = Sizes(problem.y0.detach())


class _Reversible(torch.autograd.Function):
    """(y0, carry, what the right-hand sides are made of) -> (y, carry, the trajectory if asked for)."""

    @staticmethod
    def forward(ctx: Any, run: _Run, y0: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        trajectory = y0.new_empty(run.problem.length, *y0.shape) if run.save == "trajectory" else None
        run.sizes = Sizes(y0)

        def visit(n: int, y: Tensor) -> None:
            run.sizes.meet(y)
            if trajectory is not None:
                trajectory[n] = y

        y, run.final = run_in_chunks(replace(run.problem, y0=y0, carry=run.carry), visit, run.chunk)
        carried = [part.clone() for part in tensors_of(run.final)]
        ctx.run = run
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y0, *tensors_of(run.carry), y.clone(), *carried)  # the caller may write into its y
        return (y, *carried) if trajectory is None else (y, *carried, trajectory)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore
        refuse_second_derivative("reversible")
        run: _Run = ctx.run
        started = 1 + len(tensors_of(run.carry))
        saved = ctx.saved_tensors
        *grad_state, last = gradients if run.save == "trajectory" else (*gradients, None)
        backward_pass = BackwardPass(run, saved[:started], saved[started:], grad_state, last)
        with nullcontext() if run.snapshot is None else run.snapshot.restored():
            backward_pass.pull_back()
        return (None, *backward_pass.gradients, *backward_pass.sums.totals)


class BackwardPass:
    """The backward pass from the end to the start, state by state."""

    def __init__(
        self,
        run: _Run,
        start: Sequence[Tensor],
        end: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        grad_trajectory: Tensor | None,
    ) -> None:
        self.run = run
        self.comparison = Comparison(run.sizes)
        self.start = start
        self.state = list(end)
        self.carry = run.final
        self.gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(end, gradients, strict=True)]
        self.grad_trajectory = grad_trajectory
        self.sums = GradientSums(run.differentiable)

    def pull_back(self) -> None:
        """Go back through all intervals.

        Raises:
            ReconstructionError: the states that were made again are too far from the true ones.
        """
        problem = self.run.problem
        for n in reversed(range(problem.length)):
            if self.grad_trajectory is not None:
                self.gradients[0] = self.gradients[0] + self.grad_trajectory[n]
            self.comparison.meet(self.state[0], self.gradients[0])
            self._interval(n)

    def _interval(self, n: int) -> None:
        """Undo the steps of interval `n`, the last first, each made again from what it began with."""
        problem, differentiable = self.run.problem, self.run.differentiable
        number = problem.origin + n
        low = max(number - 1, 0)
        windows = differentiable.windows(low, number + 1)
        with torch.enable_grad():
            *earlier, interval = differentiable.problem.layout(tuple(windows), low, number + 1, low)
            dt = interval.dt / problem.substeps
            times = [interval.t + k * dt if k else interval.t for k in range(problem.substeps)]
        leaves = differentiable.sources(windows)
        for k in reversed(range(problem.substeps)):
            if n == 0 and k == 0:
                before = self.start[0], self.run.carry
            else:
                before = self._undo(interval.f, times[k], dt, dt if k else earlier[0].dt / problem.substeps)
            self._differentiate(interval.f, times[k], dt, before, leaves, low)

    def _undo(self, f: RightHandSide, t: Time, dt: Time, dt_before: Time) -> tuple[Tensor, Carry]:
        solver = self.run.problem.solver
        assert isinstance(solver, ReversibleSolver)
        carry = refilled(self.carry, self.state[1:])
        return solver.inverse_step(f, t, dt, self.state[0], carry, dt_before)

    def _differentiate(
        self, f: RightHandSide, t: Time, dt: Time, before: tuple[Tensor, Carry], leaves: list[Tensor], low: int
    ) -> None:
        """Make one step again from the state `before` it, and pull the gradients back through it."""
        y, carry = before
        carried = tensors_of(carry)
        state = [x.detach().requires_grad_(x.is_floating_point() or x.is_complex()) for x in (y, *carried)]
        with torch.enable_grad():
            end, after = self.run.problem.solver.step(f, t, dt, state[0], refilled(carry, state[1:]))
        outcome = (end, *tensors_of(after))
        if y is self.start[0]:
            self._check(end.detach())
        pairs = [(out, g) for out, g in zip(outcome, self.gradients, strict=True) if out.requires_grad]
        ends, weights = zip(*pairs, strict=True)
        found = torch.autograd.grad(ends, (*state, *leaves), weights, allow_unused=True, retain_graph=True)
        self.gradients = [
            torch.zeros_like(x) if g is None else g for x, g in zip(state, found[: len(state)], strict=True)
        ]
        self.sums.add(found[len(state) :], low)
        self.state, self.carry = [x.detach() for x in state], carry

    def _check(self, end: Tensor) -> None:
        """Compare the state after the first step, `end`, with the one that was reached by stepping back."""
        error = self.comparison.error(self.state[0], end, self.gradients[0])
        if not error <= self.run.tolerance:
            name = type(self.run.problem.solver).__name__
            raise ReconstructionError(
                f"stepping back with {name} missed the first state by {error:.3g} relatively and "
                f"{self.run.tolerance:.3g} is allowed: a damped or unstable field amplifies rounding backward in time; "
                "use less damping, a shorter sequence, float64, another adjoint or a larger `tolerance`",
                error,
                self.run.tolerance,
            )
