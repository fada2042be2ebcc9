"""The continuous adjoint: gradients by an equation of their own, integrated backward in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from .adjoint import Adjoint, Autograd, Save, Solved
from .loop import Interval, Problem, states
from .solver import Memory, Solver
from .stand_ins import StandIns
from .structure import Need
from .tableaus import RK38, Euler, Heun, Heun3, Midpoint
from .torchdiffeq_solver import TorchdiffeqSolver, is_lost, scaled

_SAME = {Euler: "euler", Midpoint: "midpoint", Heun: "heun2", Heun3: "heun3", RK38: "rk4"}


@final
@dataclass(frozen=True)
class Continuous(Adjoint):
    """Gradients by the adjoint equation d lambda/dt = -(df/dy)^T lambda, through torchdiffeq's adjoint.

    The states are those of the problem's own solver, whichever it is. Backward, each interval is solved anew from its
    stored first state, forward and then backward with the adjoint: so the state at the end of an interval is all that
    is kept of it.

    The gradient is that of the exact flow between the stored states, and not of the numbers that the solver made: it
    differs from `Autograd`'s by the discretisation error, O(dt^order), and agrees only as dt goes to 0. Backward in
    time a damped field is unstable: within an interval rounding and error grow as exp(damping dt), which is why every
    interval starts anew from its stored states; a field that is stiff within one interval needs another adjoint.
    What a multi-step or reversible solver carries besides y passes no gradient here. It has no second derivative.

    Gradients flow to every tensor that f closes over: those are found by evaluating f once an interval (see StandIns).
    A right-hand side for which that fails is refused, in the forward or in the backward pass.

    Args:
        backward: how the adjoint equation is solved; None for the solver's own method and steps where torchdiffeq has
            them (Euler, Midpoint, Heun, Heun3, RK38, TorchdiffeqSolver), and dopri5 otherwise.

    Raises:
        TypeError: `backward` is something else.

    Source: Chen, Rubanova, Bettencourt & Duvenaud, Neural ordinary differential equations (NeurIPS 2018), sec. 2,
    algorithm 1; Pontryagin et al., The mathematical theory of optimal processes (1962).
    """

    backward: TorchdiffeqSolver | None = None

    def __post_init__(self) -> None:
        """Check the one argument."""
        if not isinstance(self.backward, TorchdiffeqSolver | None):
            raise TypeError(
                f"`backward` is {type(self.backward).__name__}; give a TorchdiffeqSolver, such as "
                "TorchdiffeqSolver('dopri5'), or None"
            )

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run the loop without a tape, an interval at a time."""
        if problem.solver.needs is Need.DIFFUSION:
            raise ValueError(
                f"`adjoint` is Continuous, whose equation knows no noise, and the solver is "
                f"{type(problem.solver).__name__}; use another adjoint, such as 'autograd'"
            )
        if not torch.is_grad_enabled():
            return Autograd().solve(problem, save)
        backward = _counterpart(problem.solver, problem.substeps) if self.backward is None else self.backward
        intervals = problem.intervals()  # made here, under autograd, for the tape from their tensors to the inputs
        y, memory = problem.y0, problem.memory
        visited: list[Tensor] = []
        for interval in intervals:
            y, memory = _cross(problem, interval, y, memory, backward)
            if save == "trajectory":
                visited.append(y)
        assert memory is not None  # after at least one interval
        return Solved(torch.stack(visited) if visited else None, y, memory)


def _counterpart(solver: Solver, substeps: int) -> TorchdiffeqSolver:
    """The method of `solver` in torchdiffeq, with as many steps in an interval; dopri5 for one that is not there."""
    if isinstance(solver, TorchdiffeqSolver):
        return solver if solver.adaptive else replace(solver, steps=solver.steps * substeps)
    name = _SAME.get(type(solver))  # pyright: ignore[reportArgumentType]
    return TorchdiffeqSolver() if name is None else TorchdiffeqSolver(name, steps=substeps)


def _cross(
    problem: Problem, interval: Interval, y: Tensor, memory: Memory | None, backward: TorchdiffeqSolver
) -> tuple[Tensor, Memory]:
    """Step through one interval: the state at its end, differentiable by the adjoint equation, and the memory.

    What f closes over is looked for first: a weight that torch.nn.utils.parametrize caches is built by then, under
    autograd.
    """
    flow = StandIns(scaled(interval.f, interval.t, interval.dt), (y.new_zeros((), dtype=y.real.dtype), y.detach()))
    alone = replace(problem, layout=lambda *_: [interval], length=1, y0=y, memory=memory)
    with torch.no_grad():
        ((end, after),) = states(alone)
    return _Crossing.apply(flow, backward, end, y, *flow.originals), after  # pyright: ignore[reportReturnType]


class _Crossing(torch.autograd.Function):
    """`end` as a function of the state `y` before and of what the flow closes over."""

    @staticmethod
    def forward(ctx: Any, flow: StandIns, backward: TorchdiffeqSolver, end: Tensor, y: Tensor, *read: Tensor) -> Tensor:
        """Nothing to compute: the solver has been here."""
        ctx.flow, ctx.solver = flow, backward
        ctx.save_for_backward(y, *read)  # `read` for torch's check that nobody has written into it since
        return end

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        """One interval forward and, with the adjoint, backward, both by torchdiffeq."""
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "the continuous adjoint has no second derivative, and `create_graph=True` asks for it: leave it out, "
                "or use adjoint='autograd'"
            )
        y = ctx.saved_tensors[0].detach().requires_grad_()
        leaves = ctx.flow.leaves
        with torch.enable_grad():
            try:
                end = ctx.solver.cross_by_adjoint(ctx.flow, y, leaves)
                gradients = torch.autograd.grad(end, (y, *leaves), gradients, allow_unused=True)
            except AssertionError as error:
                if not is_lost(error):
                    raise
                raise ArithmeticError(
                    f"the adjoint equation was lost by step-size control ({error}); the field is stiff or diverges "
                    "within an interval: use a smaller dt or another adjoint"
                ) from error
        return None, None, None, *gradients
