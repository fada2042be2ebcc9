"""A field and a solver as what the operators execute: a method, an activation, a weight, and perhaps blocks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import (
    BlockDiagonal,
    Euler,
    ExplicitRungeKutta,
    ExponentialRungeKutta,
    ExponentialTableau,
    LeapfrogMidpoint,
    LinearlyExactEuler,
    Solver,
    SplittingMethod,
)
from solvers.extend import functions_of

from ..fields.activation import LINEAR, LINEAR_PLUS_TANH, Activation
from ..fields.field import BlockLinearField, VectorField
from .formulas import FORMULAS
from .method import Method, exponential, kicks_and_drifts, runge_kutta, two_step

MOST_STAGES = 15
"""Of a tableau that the kernels take."""


class Lowered(NamedTuple):
    """What the operators execute.

    Attributes:
        method: the discretisation.
        kind: the name of the activation.
        weight: K of what the method sees.
        blocks: the matrices of an exponential method.
    """

    method: Method
    kind: str
    weight: Float[Tensor, "image hidden"]
    blocks: Float[Tensor, "steps matrices 2 2 half"] | None = None


def why_not_lowered(
    field: VectorField, activation: Activation, solver: Solver, dt: float | Tensor | None
) -> str | None:
    """Why a registered field and a solver have no such form, or None; `dt` is a number or has time first."""
    if isinstance(solver, ExponentialRungeKutta):
        return _why_not_exponential(field, activation, solver, dt)
    if activation.name not in FORMULAS:
        return f"there is no operator for {type(solver).__name__} on {type(field).__name__}"
    if isinstance(solver, ExplicitRungeKutta) and solver.stages > MOST_STAGES:
        return f"the operators take {MOST_STAGES} stages at most"
    return None if _method(solver) is not None else f"there is no operator for {type(solver).__name__}"


def lower(
    field: VectorField,
    activation: Activation,
    solver: Solver,
    weight: Float[Tensor, "image hidden"],
    dt: float | Float[Tensor, " time"] | Float[Tensor, "batch time"],
    substeps: int,
) -> Lowered:
    """The form of a field and a solver that have one."""
    if not isinstance(solver, ExponentialRungeKutta):
        method = _method(solver)
        assert method is not None
        return Lowered(method, activation.name, weight)
    step = dt / substeps
    if isinstance(field, BlockLinearField):
        assert activation.remainder is not None
        n = weight.shape[1]
        blocks = _blocks(solver.tableau, BlockDiagonal.of_dense(weight[:n]), step)
        return Lowered(exponential(solver.tableau), activation.remainder.name, weight[n:], blocks)
    assert not isinstance(step, Tensor)
    return Lowered(runge_kutta_of(Euler()), activation.name, _as_euler(weight, step))


def runge_kutta_of(solver: ExplicitRungeKutta) -> Method:
    """The method of a tableau."""
    return runge_kutta(solver.tableau.a, solver.tableau.b, solver.tableau.c)


def _method(solver: Solver) -> Method | None:
    """A solver that needs no linear part as the operators know it, or None."""
    if isinstance(solver, ExplicitRungeKutta):
        return runge_kutta_of(solver)
    if isinstance(solver, SplittingMethod):
        return kicks_and_drifts(solver.sweeps)
    return two_step() if isinstance(solver, LeapfrogMidpoint) else None


def _why_not_exponential(
    field: VectorField, activation: Activation, solver: ExponentialRungeKutta, dt: float | Tensor | None
) -> str | None:
    name = type(solver).__name__
    if solver.stages > MOST_STAGES:
        return f"the operators take {MOST_STAGES} stages at most"
    if isinstance(field, BlockLinearField):
        rows = isinstance(dt, Tensor) and dt.numel() != len(dt)
        return f"the operators take {name} with one `dt` for all sequences of a batch" if rows else None
    if not isinstance(solver, LinearlyExactEuler) or activation not in (LINEAR, LINEAR_PLUS_TANH):
        return f"there is no operator for {name} on {type(field).__name__}, whose linear part is a dense matrix"
    if isinstance(dt, Tensor):
        return f"the operators take {name} on {type(field).__name__} with a `dt` that is a number"
    return None


def _blocks(tableau: ExponentialTableau, linear: BlockDiagonal, step: float | Tensor) -> Tensor:
    """The tableau's matrices (steps, matrices, 2, 2, n / 2) for a step that is a number or (time,)."""
    if isinstance(step, Tensor):
        step = step.to(linear.blocks.dtype).reshape(-1, 1)
    functions = torch.stack(functions_of(tableau, linear, step), dim=-4)
    return functions if functions.ndim == 5 else functions.unsqueeze(0)


def _as_euler(weight: Float[Tensor, "image hidden"], dt: float) -> Float[Tensor, "image hidden"]:
    """The weight with which a step of Euler's method is one of the linearly exact Euler method on `weight`.

    exp(dt A) y + dt remainder = y + dt (A' y + remainder) with A' = (exp(dt A) - I) / dt.
    """
    n = weight.shape[1]
    (flow,) = functions_of(LinearlyExactEuler.tableau, weight[:n], dt)
    identity = torch.eye(n, dtype=weight.dtype, device=weight.device)
    return torch.cat(((flow - identity) / dt, weight[n:]))
