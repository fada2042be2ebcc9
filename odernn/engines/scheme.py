"""A field and a solver as what the operators execute: a method, an activation, a weight, and perhaps blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import BlockDiagonal, LinearlyExactEuler, Solver
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
from .linear_method import general_linear
from .method import EULER, Method, exponential, moves, numbers_of, runge_kutta, splitting
from .weight_blocks import fillings_of

MOST_STAGES = 15
"""Of a tableau that the kernels take."""


class Lowered(NamedTuple):
    """What the operators execute.

    Attributes:
        method: the discretisation.
        kind: the name of the activation.
        weight: K of what the method sees.
        blocks: the matrices of an exponential method.
        weight_blocks: how the halves of K are filled, as `Call` has it; empty if unknown, and for kicks and drifts.
    """

    method: Method
    kind: str
    weight: Float[Tensor, "preactivation hidden"]
    blocks: Float[Tensor, "steps matrices 2 2 half"] | None = None
    weight_blocks: tuple[int, ...] = ()


def unsupported_scheme(
    field: VectorField, activation: Activation, solver: Solver, dt: float | Tensor | None
) -> str | None:
    """Why a registered field and a solver have no such form, or None; `dt` is a number or has time first."""
    if solver.stages > MOST_STAGES:
        return f"the operators take {MOST_STAGES} stages at most"
    name, on = type(solver).__name__, type(field).__name__
    if _as_blocks(field, solver, rows=False):
        known = not _of_rows(dt) or (_is_tableau(solver) and activation.name in FORMULAS)
        return None if known else f"the operators take {name} on {on} with one `dt` for all sequences of a batch"
    if solver.exponential is not None:
        return _why_not_euler(on, activation, solver, dt)
    if activation.name not in FORMULAS or _registered(solver) is None:
        return f"there is no operator for {name} on {on}"
    return None


def outline(field: VectorField, solver: Solver, dt: float | Tensor, preactivations: int) -> tuple[Method, int]:
    """The method that `scheme_of` finds, of an exponential one without numbers, and the entries of a preactivation."""
    groups = preactivations // field.hidden_size
    if _as_blocks(field, solver, rows=_of_rows(dt)):
        return Method("exponential"), groups - 1
    method = _registered(solver)
    return Method("runge-kutta") if method is None else method, groups


def method_on_weight(field: VectorField, solver: Solver, dt: float | Tensor) -> Method | None:
    """The method that `scheme_of` finds where K stays as it is; None where the step goes into matrices or into K."""
    if solver.exponential is not None or _as_blocks(field, solver, rows=_of_rows(dt)):
        return None
    return _registered(solver)


def blocks_on_weight(field: VectorField, method: Method) -> tuple[int, ...]:
    """How the halves of K are filled, as numbers, where K stays as it is; empty where the field does not say.

    So it is of kicks and drifts, which see no more than a half at a time.
    """
    return () if method.family == "shears" else fillings_of(field)


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
        return Lowered(method, activation.remainder.name, weight[n:], blocks, fillings_of(field)[4:])
    if solver.exponential is not None:
        assert not isinstance(step, Tensor)
        return Lowered(EULER, activation.name, _as_euler(weight, step))
    method = _registered(solver)
    assert method is not None
    return Lowered(method, activation.name, weight, weight_blocks=blocks_on_weight(field, method))


def explicit_method(solver: Solver, *, apart: bool) -> Method | None:
    """An explicit solver as the operators know it, by the structure of its schemes; None if it has no such form.

    Args:
        solver: the solver.
        apart: whether each half of the state is driven by the other half only.
    """
    if torch.compiler.is_compiling():  # the compiler sees no cache
        return _explicit_method(solver, apart)
    return _EXPLICIT_METHODS(solver, apart)


def _explicit_method(solver: Solver, apart: bool) -> Method | None:
    schemes = solver.schemes
    if schemes is None:
        return None
    scheme = schemes.steady([1.0] * schemes.ratios)
    halves = [half for half in scheme.half if half is not None]
    if schemes.vectors > 1:
        return None if halves else general_linear(schemes)
    if not halves:
        return runge_kutta(scheme.a, numbers_of(scheme.b[0]), scheme.c)
    if len(halves) < scheme.stages:
        return None
    shears = splitting(halves, numbers_of(scheme.b[0]), scheme.c)
    return shears if apart else moves(shears)


_EXPLICIT_METHODS = cache(_explicit_method)


def _registered(solver: Solver) -> Method | None:
    """A solver on a registered field without a linear part: whatever moves halves finds them apart."""
    return explicit_method(solver, apart=True)


def _is_tableau(solver: Solver) -> bool:
    """Whether the solver is an explicit Runge-Kutta method."""
    method = _registered(solver)
    return method is not None and method.family == "runge-kutta"


def _as_blocks(field: VectorField, solver: Solver, rows: bool) -> bool:
    """Whether the linear part goes into the matrices of the method; with a step a row there would be a set a row."""
    if rows or not is_block_linear(field):
        return False
    method = _registered(solver)
    if method is not None and method.family == "shears":
        return is_partitioned(field) or is_damped_partitioned(field)
    return solver.exponential is not None or _is_tableau(solver)


def _of_rows(dt: float | Tensor | None) -> bool:
    """Whether a step, a number or with time first, may differ from row to row."""
    return isinstance(dt, Tensor) and dt.numel() != len(dt)


def _block_entries(
    solver: Solver, linear: BlockDiagonal, step: float | Float[Tensor, " time"]
) -> tuple[BlockEntries, Sequence[float]]:
    """The scheme and its nodes; its matrices (2, 2, n / 2), or (time, 2, 2, n / 2) for a step that is (time,)."""
    if isinstance(step, Tensor):
        step = step.to(linear.blocks.dtype).reshape(-1, 1)
    tableau = solver.exponential
    if tableau is not None:
        entries = (tableau.flow_entries, tableau.a_entries, tableau.b_entries)
        return BlockEntries(*entries, functions_of(tableau, linear, step)), tableau.c
    scaled = (step.unsqueeze(-1).unsqueeze(-1) if isinstance(step, Tensor) else step) * linear.blocks
    method = _registered(solver)
    assert method is not None
    if method.family == "shears":
        return shear_entries(method.shears, scaled), [shear.node for shear in method.shears if shear.kick]
    return block_entries(method.tableau, scaled), method.c


def _why_not_euler(field: str, activation: Activation, solver: Solver, dt: float | Tensor | None) -> str | None:
    """Why an exponential method on a field with a dense linear part is not Euler's on another field, or None."""
    name = type(solver).__name__
    if solver.exponential != LinearlyExactEuler.tableau or activation not in (LINEAR, LINEAR_PLUS_TANH):
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
