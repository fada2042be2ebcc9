"""The native kernels as Python functions: a call as a value, forward, and its exact adjoint.

Nothing here is differentiable by itself: the gradient rule of the operators is in `odernn.engines.gradient`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ...control.time_grid import as_tensor
from ..method import Method
from ..program import Call
from .build import load

Schedule = float | Float[Tensor, ""] | Float[Tensor, " steps"] | Float[Tensor, "batch steps"]
"""A number for every solver step: one for all, one a step, or one a row and step."""


class Solution(NamedTuple):
    """What `solve` returns.

    Attributes:
        saved: the states that the adjoint needs, None if they were not asked for. With one solver step a sample, and
            for every method that carries the state only, this is the trajectory. A general linear method keeps the
            states between samples too: its trajectory is `trajectory`.
        last: the state after the last sample.
        carried: general linear method: the other vectors at the end; else None.
        trajectory: the states after the samples, a view of `saved`; None where that is packed.
        kept: general linear method: the other vectors that the adjoint needs, each as `saved`; else None.

    Of several lengths all are (places, state), and where `Call.packed` is true `saved` is in the order of the sweep.
    """

    saved: Float[Tensor, "*steps state"] | None
    last: Float[Tensor, "batch state"]
    carried: Float[Tensor, "vectors batch state"] | None
    trajectory: Float[Tensor, "*time state"] | None
    kept: Float[Tensor, "vectors *steps state"] | None


class Gradients(NamedTuple):
    """What `pull_back` returns; None for what the call does not have or nobody asked for."""

    y0: Float[Tensor, "batch state"]
    weight: Float[Tensor, "preactivation state"]
    input_weight: Float[Tensor, "control input"] | None
    bias: Float[Tensor, " control"] | None
    samples: Float[Tensor, "time batch input"] | None
    before: Float[Tensor, "batch control"] | None
    dt: Float[Tensor, "batch time"] | Float[Tensor, " samples"] | None
    carried: Float[Tensor, "vectors batch state"] | None
    coefficients: Float[Tensor, "time substeps rows numbers"] | None
    blocks: Float[Tensor, "steps matrices 2 2 half"] | None


def solve(call: Call, *, save: bool) -> Solution:
    """Integrate. Without `save` nothing but the state is stored.

    Raises:
        NativeUnavailable: the kernels cannot be built here.
        TypeError, ValueError: a tensor's dtype, shape or layout, or a method that is not explicit.
    """
    load()
    saved, last, carried, kept = torch.ops.odernn_native.solve(*call.arguments(), save)
    every = call.substeps if call.method.family == "general-linear" else 1
    return Solution(
        saved if save else None,
        last,
        carried if carried.numel() else None,
        saved[every - 1 :: every] if save and not call.packed else None,
        kept if kept.numel() else None,
    )


def pull_back(
    call: Call,
    saved: Float[Tensor, "*steps state"],
    kept: Float[Tensor, "vectors *steps state"] | None = None,
    *,
    grad_saved: Float[Tensor, "*steps state"] | None = None,
    grad_last: Float[Tensor, "batch state"] | None = None,
    grad_carried: Float[Tensor, "vectors batch state"] | None = None,
    want_samples: bool = False,
    want_dt: bool = False,
) -> Gradients:
    """The exact gradients of the discretised equation.

    Args:
        call: what was integrated.
        saved: `solve(call, save=True).saved`.
        kept: the same solution's `kept`.
        grad_saved: the loss's gradient by every saved state. Where a general linear method keeps more than the
            trajectory, the trajectory's gradient goes to the places [substeps - 1 :: substeps]. Any strides will do.
        grad_last: by the last state, beside what `grad_saved` says of it.
        grad_carried: general linear method: by the other vectors at the end, likewise.
        want_samples: compute the gradient by `call.samples`.
        want_dt: compute the gradient by dt, entry by entry; whoever gave a number or (time,) sums it.

    Raises:
        NativeUnavailable, TypeError, ValueError: as `solve`.
    """
    load()
    gradients = torch.ops.odernn_native.pull_back(
        saved,
        saved.new_empty(0) if kept is None else kept,
        *(grad_saved, grad_last, grad_carried, *call.arguments()),
        want_samples,
        want_dt,
    )
    y0, weight, *optional = gradients
    present: list[Tensor | None] = [gradient if gradient.numel() else None for gradient in optional]
    if present[4] is not None and call.index is None:
        present[4] = present[4].T
    return Gradients(y0, weight, *present)


class TwoStepWeights(NamedTuple):
    """y_next = e y_previous + w y + s f(y): one number for all steps, one a step, or one a row and step."""

    e: Schedule
    w: Schedule
    s: Schedule


class Recursion(NamedTuple):
    """What `recursion` returns.

    Attributes:
        lambda_: the gradient by the state before the first step.
        preactivation: D_p^T kappa. dL/dK is the sum of its products with the states that the preactivations were
            made of.
        kappa: the gradient by every rate. dL/du is the sum of D_u^T kappa, dL/ddt that of kappa . rate / dt, and of
            a general linear method kappa / s is the gradient by the state after the step.
        carried: general linear method: the gradient by the state one solver step before the first, as far as it does
            not go by way of the state in between; else None.
    """

    lambda_: Float[Tensor, "batch state"]
    preactivation: Float[Tensor, "steps stages batch preactivation"]
    kappa: Float[Tensor, "steps stages batch moved"]
    carried: Float[Tensor, "batch state"] | None


def recursion(
    lambda_: Float[Tensor, "batch state"],
    weight: Float[Tensor, "preactivations state"],
    preactivation_derivative: Float[Tensor, "steps stages batch preactivation"],
    dt: Schedule | TwoStepWeights,
    method: Method,
    *,
    state_derivative: Float[Tensor, "steps stages batch state"] | None = None,
    trajectory: Float[Tensor, "outputs batch state"] | None = None,
    substeps: int = 1,
    carried: Float[Tensor, "batch state"] | None = None,
) -> Recursion:
    """The sequential part of the exact adjoint of any affine-pointwise field, whose derivatives the caller computed.

    A step is a solver step. With lambda the gradient by the state after it, and of the states in that order:

    - an explicit tableau: for its stages from the last, kappa_i = dt (b_i lambda + sum_{j>i} a_ji mu_j) and
      mu_i = D_y kappa_i + (D_p kappa_i) K; then lambda += sum_i mu_i. With `moved` stage i moves the half of the units
      with this number, and D_y and D_p are zero for the others.
    - kicks and drifts: for the moves from the last, kappa = coefficient dt lambda_moved and
      lambda_other += (D_p kappa) K_moved,other. `moved` is the half (q or p) that the move adds to, the state being
      (q, p); the nodes do not matter here.
    - general linear, of two states and one slope: kappa = s lambda;
      (lambda, carried) <- (carried + w lambda + D_y kappa + (D_p kappa) K, e lambda).

    K has g groups of `state` rows, `preactivations` = g state: dy_i/dt depends on the entries i, i + state, ... of
    y K^T. Every tensor is contiguous, on the CPU and of lambda's dtype; the schedules may be of another floating type.

    Args:
        lambda_: the loss's gradient by the state after the last step, beside what `trajectory` says of it.
        weight: K.
        preactivation_derivative: D_p of every stage (or move) of every step, group after group. A stage has
            `preactivation` = g state columns, a move those of the half that it moves: `preactivation` = g state / 2.
            A general linear method has one stage.
        dt: of every step: a number, (steps,) or (batch, steps). A general linear method takes its weights.
        method: an explicit tableau (of any number of stages), kicks and drifts, or a general linear method.
        state_derivative: D_y, or None where the field does not see the state itself. Kicks and drifts have none.
        trajectory: the loss's gradient by the states after the last step and after every `substeps`-th before it, in
            the order of time: `outputs` = steps / substeps, rounded up.
        substeps: steps from one gradient in `trajectory` to the next.
        carried: general linear method: the loss's gradient by the state before the last step; None is zero.

    Raises:
        NativeUnavailable, TypeError, ValueError: as `solve`.
    """
    load()
    schedules = [as_tensor(one) for one in (dt if isinstance(dt, TwoStepWeights) else (dt,))]
    found, preactivation, kappa, out = torch.ops.odernn_native.recursion(
        *(lambda_, carried, weight, preactivation_derivative, state_derivative, trajectory, schedules),
        *(method.family, method.a, method.b, method.moved, substeps),
    )
    return Recursion(found, preactivation, kappa, out if out.numel() else None)


def release_memory() -> None:
    """Give back the large blocks that wait for the next call."""
    load()
    torch.ops.odernn_native.empty_pool()
