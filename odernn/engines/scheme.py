"""A field and a solver as what the operators execute: a method, an activation, a weight, and perhaps blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import (
    BlockDiagonal,
    Euler,
    ExplicitRungeKutta,
    ExponentialRungeKutta,
    LeapfrogMidpoint,
    LinearlyExactEuler,
    Solver,
    SplittingMethod,
)
from solvers.extend import functions_of

from ..fields.activation import LINEAR, LINEAR_PLUS_TANH, Activation
from ..fields.field import (
    ScaledRemainderField,
    VectorField,
    is_block_linear,
    is_damped_partitioned,
    is_partitioned,
)
from .block_tableau import BlockEntries, block_entries, scaled_entries, shear_entries
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
    weight: Float[Tensor, "preactivation hidden"]
    blocks: Float[Tensor, "steps matrices 2 2 half"] | None = None


def unsupported_scheme(
    field: VectorField, activation: Activation, solver: Solver, dt: float | Tensor | None
) -> str | None:
    """Why a registered field and a solver have no such form, or None; `dt` is a number or has time first."""
    if isinstance(solver, ExplicitRungeKutta | ExponentialRungeKutta) and solver.stages > MOST_STAGES:
        return f"the operators take {MOST_STAGES} stages at most"
    name, on = type(solver).__name__, type(field).__name__
    if _as_blocks(field, solver, rows=False):
        rows = isinstance(dt, Tensor) and dt.numel() != len(dt)
        known = not rows or (isinstance(solver, ExplicitRungeKutta) and activation.name in FORMULAS)
        return None if known else f"the operators take {name} on {on} with one `dt` for all sequences of a batch"
    if isinstance(solver, ExponentialRungeKutta):
        return _why_not_euler(on, activation, solver, dt)
    if activation.name not in FORMULAS or _method(solver) is None:
        return f"there is no operator for {name} on {on}"
    return None


def outline(field: VectorField, solver: Solver, dt: float | Tensor, preactivations: int) -> tuple[Method, int]:
    """The family of the method that `scheme_of` finds, without numbers, and the entries of a unit's preactivation."""
    groups = preactivations // field.hidden_size
    if _as_blocks(field, solver, rows=isinstance(dt, Tensor) and dt.numel() != len(dt)):
        return Method("exponential"), groups - 1
    method = _method(solver)
    return Method("runge-kutta" if method is None else method.family), groups


def scheme_of(
    field: VectorField,
    activation: Activation,
    solver: Solver,
    weight: Float[Tensor, "preactivation hidden"],
    dt: float | Float[Tensor, " time"] | Float[Tensor, "batch time"],
    substeps: int,
) -> Lowered:
    """The form of a field and a solver that have one."""
    step = dt / substeps
    if _as_blocks(field, solver, rows=isinstance(dt, Tensor) and dt.ndim == 2):
        assert activation.remainder is not None
        n = weight.shape[1]
        entries, nodes = _block_entries(solver, BlockDiagonal.of_dense(weight[:n]), step)
        if isinstance(field, ScaledRemainderField):
            entries = scaled_entries(entries, field.remainder_scale())
        method = exponential(entries.flows, entries.a, entries.b, nodes)
        blocks = torch.stack(entries.matrices, dim=-4)
        blocks = blocks if blocks.ndim == 5 else blocks.unsqueeze(0)
        return Lowered(method, activation.remainder.name, weight[n:], blocks)
    if isinstance(solver, ExponentialRungeKutta):
        assert not isinstance(step, Tensor)
        return Lowered(_runge_kutta(Euler()), activation.name, _as_euler(weight, step))
    method = _method(solver)
    assert method is not None
    return Lowered(method, activation.name, weight)


def _as_blocks(field: VectorField, solver: Solver, rows: bool) -> bool:
    """Whether the linear part goes into the matrices of the method; with a step a row there would be a set a row."""
    if rows or not is_block_linear(field):
        return False
    if isinstance(solver, SplittingMethod):
        return is_partitioned(field) or is_damped_partitioned(field)
    return isinstance(solver, ExplicitRungeKutta | ExponentialRungeKutta)


def _block_entries(
    solver: Solver, linear: BlockDiagonal, step: float | Float[Tensor, " time"]
) -> tuple[BlockEntries, Sequence[float]]:
    """The scheme and its nodes; its matrices (2, 2, n / 2), or (time, 2, 2, n / 2) for a step that is (time,)."""
    if isinstance(step, Tensor):
        step = step.to(linear.blocks.dtype).reshape(-1, 1)
    if isinstance(solver, ExponentialRungeKutta):
        tableau = solver.tableau
        entries = (tableau.flow_entries, tableau.a_entries, tableau.b_entries)
        return BlockEntries(*entries, functions_of(tableau, linear, step)), tableau.c
    scaled = (step.unsqueeze(-1).unsqueeze(-1) if isinstance(step, Tensor) else step) * linear.blocks
    if isinstance(solver, SplittingMethod):
        return shear_entries(solver.shears, scaled), [shear.node for shear in solver.shears if shear.kick]
    assert isinstance(solver, ExplicitRungeKutta)
    return block_entries(solver.tableau, scaled), solver.tableau.c


def _method(solver: Solver) -> Method | None:
    """A solver that needs no linear part as the operators know it, or None; worked out once."""
    return _lowered(solver) if torch.compiler.is_compiling() else _LOWERED(solver)  # the compiler sees no cache


def _lowered(solver: Solver) -> Method | None:
    if isinstance(solver, ExplicitRungeKutta):
        return _runge_kutta(solver)
    if isinstance(solver, SplittingMethod):
        return kicks_and_drifts(solver.shears)
    return two_step() if isinstance(solver, LeapfrogMidpoint) else None


_LOWERED = cache(_lowered)


def _runge_kutta(solver: ExplicitRungeKutta) -> Method:
    return runge_kutta(solver.tableau.a, solver.tableau.b, solver.tableau.c)


def _why_not_euler(
    field: str, activation: Activation, solver: ExponentialRungeKutta, dt: float | Tensor | None
) -> str | None:
    """Why an exponential method on a field with a dense linear part is not Euler's on another field, or None."""
    name = type(solver).__name__
    if not isinstance(solver, LinearlyExactEuler) or activation not in (LINEAR, LINEAR_PLUS_TANH):
        return f"there is no operator for {name} on {field}, whose linear part is a dense matrix"
    if isinstance(dt, Tensor):
        return f"the operators take {name} on {field} with a `dt` that is a number"
    return None


def _as_euler(weight: Float[Tensor, "preactivation hidden"], dt: float) -> Float[Tensor, "preactivation hidden"]:
    """The weight with which a step of Euler's method is one of the linearly exact Euler method on `weight`.

    exp(dt A) y + dt remainder = y + dt (A' y + remainder) with A' = (exp(dt A) - I) / dt.
    """
    n = weight.shape[1]
    (flow,) = functions_of(LinearlyExactEuler.tableau, weight[:n], dt)
    identity = torch.eye(n, dtype=weight.dtype, device=weight.device)
    return torch.cat(((flow - identity) / dt, weight[n:]))
