"""Engines: what executes a layer. `torch` runs anywhere; `native` is C++ on the processor."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from solvers import (
    Adjoint,
    Auto,
    Checkpointed,
    DiscreteAdjoint,
    ExplicitRungeKutta,
    LeapfrogMidpoint,
    Problem,
    Recurrence,
    Save,
    Solved,
    Solver,
    SplittingMethod,
)

from . import native
from .activation import GATED_TANH, TANH
from .field import VectorField
from .fields import HamiltonianField, TanhField
from .hold import Hold, LinearHold, ZeroOrderHold

Engine = Literal["torch", "native"]
ENGINES: tuple[Engine, ...] = ("torch", "native")
HOLDS: dict[type[Hold], Literal["zero-order", "linear"]] = {ZeroOrderHold: "zero-order", LinearHold: "linear"}
KINDS: dict[str, Literal["tanh", "gated-tanh"]] = {TANH.name: "tanh", GATED_TANH.name: "gated-tanh"}


class EngineWarning(UserWarning):
    """The native engine was asked for and cannot serve here; the torch engine serves in its place."""


def on_engine(adjoint: Adjoint, engine: Engine, field: VectorField, hold: Hold) -> Adjoint:
    """The adjoint that runs on the engine.

    Raises:
        ValueError: the native engine with an adjoint that it does not execute.
    """
    if engine == "torch":
        return adjoint
    if isinstance(adjoint, Auto | DiscreteAdjoint):
        return Native(field, hold)
    if isinstance(adjoint, Checkpointed) and isinstance(adjoint.within, Auto | DiscreteAdjoint):
        return replace(adjoint, within=Native(field, hold))
    raise ValueError(
        f"`engine` is 'native' and `adjoint` {adjoint}; the native engine executes the exact discrete adjoint: give "
        "'auto', 'discrete' or Checkpointed(within=DiscreteAdjoint()), or take the torch engine"
    )


@final
@dataclass(frozen=True)
class Native(Adjoint):
    """The exact discrete adjoint, executed by the native kernels: every row of the batch through all of time.

    It takes the paper's family of fields and the Hamiltonian one, the explicit Runge-Kutta methods, the compositions of
    kicks and drifts and the two-step midpoint rule, on the CPU, in float32 and float64. What it does not take, and a
    machine without a compiler, gets one warning and `DiscreteAdjoint` on the torch engine.

    Args:
        field: the field, which names its activation and its map of the input.
        hold: the hold of the control.
    """

    field: VectorField
    hold: Hold

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run on the kernels, keeping the states at the samples if gradients are wanted."""
        reason = self._refusal(problem)
        if reason is not None:
            warnings.warn(
                f"the torch engine runs in the place of the native one: {reason}", EngineWarning, stacklevel=2
            )
            return DiscreteAdjoint().solve(problem, save)
        recurrence = problem.recurrence
        assert recurrence is not None
        assert isinstance(self.field, TanhField | HamiltonianField)
        previous, dt_previous = _memory(problem)
        call = self._call(problem, recurrence, dt_previous)
        tensors = (
            *(problem.y0, recurrence.weight, recurrence.samples.contiguous()),
            *(self.field.input_map.weight, self.field.input_map.bias, recurrence.before),
            *(_steps(recurrence.dt), previous, dt_previous),
        )
        trajectory, last, last_but_one = _Kernels.apply(call, save, *tensors)
        memory = problem.memory or ()
        if isinstance(problem.solver, LeapfrogMidpoint):
            memory = (last_but_one, _last(recurrence.dt) / problem.substeps)
        return Solved(trajectory if save == "trajectory" else None, last, memory)

    def _refusal(self, problem: Problem) -> str | None:
        """Why the kernels do not take the problem, or None."""
        if not isinstance(self.field, TanhField | HamiltonianField) or type(self.hold) not in HOLDS:
            return f"it has no kernel for {type(self.field).__name__} under {type(self.hold).__name__}"
        if _scheme(problem.solver) is None:
            return f"it has no kernel for {type(problem.solver).__name__}"
        if problem.y0.device.type != "cpu" or problem.y0.dtype not in (torch.float32, torch.float64):
            kind = f"{problem.y0.dtype} on {problem.y0.device}"
            return f"it works on the CPU in float32 and float64, and the state is {kind}"
        try:
            native.load()
        except native.NativeUnavailable as unavailable:
            return unavailable.reason
        return None

    def _call(self, problem: Problem, recurrence: Recurrence, dt_previous: Tensor | None) -> native.Call:
        """The call with the values of this moment; `_Kernels` puts its own tensors in their place."""
        scheme = _scheme(problem.solver)
        assert scheme is not None
        assert isinstance(self.field, TanhField | HamiltonianField)
        return native.Call(
            y0=problem.y0,
            weight=recurrence.weight,
            samples=recurrence.samples,
            scheme=scheme,
            dt=0.0 if isinstance(recurrence.dt, Tensor) else recurrence.dt,
            kind=KINDS[self.field.activation.name],
            hold=HOLDS[type(self.hold)],
            substeps=problem.substeps,
            dt_previous=dt_previous,
        )


class _Kernels(torch.autograd.Function):
    """(y0, K, x, V, b, u before, dt, y before, dt before) -> (trajectory or nothing, last, last but one)."""

    @staticmethod
    def forward(ctx: Any, call: native.Call, save: Save, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        wanted = save == "trajectory" or any(ctx.needs_input_grad)
        solution = native.solve(_with(call, tensors), keep=wanted)
        ctx.call, ctx.save = call, save
        ctx.save_for_backward(*tensors, solution.kept)
        empty = solution.last.new_empty(0)
        trajectory = solution.trajectory if save == "trajectory" else empty
        assert trajectory is not None
        other = empty if solution.last_but_one is None else solution.last_but_one
        return trajectory, solution.last, other

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        *tensors, kept = ctx.saved_tensors
        of_trajectory, last, last_but_one = (g.contiguous() for g in gradients)
        asked = ctx.needs_input_grad[2:]
        call = _with(ctx.call, tensors)
        found = native.pull_back(
            call,
            kept,
            kept_gradient=_of_kept(call, kept, of_trajectory) if ctx.save == "trajectory" else None,
            last=last,
            last_but_one=last_but_one if last_but_one.numel() else None,
            want_samples=asked[2],
            want_dt=asked[6] or asked[8],
        )
        by_dt = found.dt
        if by_dt is not None and isinstance(call.dt, Tensor) and call.dt.ndim == 1:
            by_dt = by_dt.sum(0)
        every = (
            *(found.y0, found.weight, found.samples, found.input_weight, found.bias),
            *(found.before, by_dt, found.y_previous, found.dt_previous),
        )
        return (None, None, *(one if wanted else None for one, wanted in zip(every, asked, strict=True)))


def _of_kept(call: native.Call, kept: Tensor, of_trajectory: Tensor) -> Tensor:
    """The trajectory's gradient as one of every kept state: the states between samples have none."""
    if len(kept) == len(of_trajectory):
        return of_trajectory
    of_kept = torch.zeros_like(kept)
    of_kept[call.substeps - 1 :: call.substeps] = of_trajectory
    return of_kept


def _with(call: native.Call, tensors: tuple[Tensor | None, ...] | list[Tensor | None]) -> native.Call:
    y0, weight, samples, input_weight, bias, before, dt, y_previous, dt_previous = (
        None if x is None else x.detach().contiguous() for x in tensors
    )
    assert y0 is not None
    assert weight is not None
    assert samples is not None
    return replace(
        call,
        y0=y0,
        weight=weight,
        samples=samples,
        input_weight=input_weight,
        bias=bias,
        before=before,
        dt=call.dt if dt is None else dt,
        y_previous=y_previous,
        dt_previous=dt_previous,
    )


def _scheme(solver: Solver) -> native.Scheme | None:
    """The solver as the kernels know it, or None."""
    if isinstance(solver, ExplicitRungeKutta):
        return native.runge_kutta(solver.tableau.a, solver.tableau.b, solver.tableau.c)
    if isinstance(solver, SplittingMethod):
        parts, shares, nodes = zip(*((int(s.kick), s.share, s.node) for s in solver.sweeps), strict=True)
        return native.shears(parts, shares, nodes)
    return native.two_step() if isinstance(solver, LeapfrogMidpoint) else None


def _memory(problem: Problem) -> tuple[Tensor | None, Tensor | None]:
    """The state and the step before, of the two-step rule that goes on; the step (batch,)."""
    if not isinstance(problem.solver, LeapfrogMidpoint) or not problem.memory:
        return None, None
    previous, dt = problem.memory
    assert isinstance(previous, Tensor)
    rows = torch.as_tensor(dt, dtype=previous.dtype, device=previous.device).reshape(-1)
    return previous, rows.expand(len(previous))


def _steps(dt: float | Tensor) -> Tensor | None:
    """The steps as the kernels take them, (time,) or (batch, time); None for a number."""
    if not isinstance(dt, Tensor):
        return None
    flat = dt.reshape(len(dt), -1)
    return flat[:, 0] if flat.shape[1] == 1 else flat.T


def _last(dt: float | Tensor) -> float | Tensor:
    return dt[-1] if isinstance(dt, Tensor) else dt
