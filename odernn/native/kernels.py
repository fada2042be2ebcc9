"""The native kernels as Python functions: a call as a value, forward, and its exact adjoint.

Nothing here is differentiable by itself: `pull_back` is what an autograd rule calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from .build import load

Kind = Literal["tanh", "gated-tanh", "linear", "linear-plus-tanh"]
Squash = Literal["identity", "tanh"]
Hold = Literal["zero-order", "linear"]
Schedule = float | Float[Tensor, ""] | Float[Tensor, " steps"] | Float[Tensor, "batch steps"]
"""A number for every solver step: one for all, one a step, or one a row and step."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A discretisation, as the kernels know it. Made by `runge_kutta`, `shears` or `two_step`."""

    family: Literal["runge-kutta", "shears", "two-step"]
    a: tuple[float, ...] = ()
    b: tuple[float, ...] = ()
    c: tuple[float, ...] = ()
    parts: tuple[int, ...] = ()


def runge_kutta(a: Sequence[Sequence[float]], b: Sequence[float], c: Sequence[float]) -> Scheme:
    """An explicit tableau of at most 15 stages. Rows of `a` may be short: what is missing is zero."""
    stages = len(b)
    rows = ((*map(float, row), *(0.0,) * (stages - len(row))) for row in a)
    return Scheme("runge-kutta", tuple(chain.from_iterable(rows)), tuple(map(float, b)), tuple(map(float, c)))


def shears(parts: Sequence[int], coefficients: Sequence[float], nodes: Sequence[float]) -> Scheme:
    """A partitioned scheme: move number i adds coefficients[i] * dt * rate to one half of the state.

    Args:
        parts: 0 moves q, along tanh(p K_qp^T + u_q); 1 moves p, along tanh(q K_pq^T + u_p), the state being (q, p).
        coefficients: of dt.
        nodes: where in the step the control is taken, 0 at its start, 1 at its end.
    """
    return Scheme("shears", (), tuple(map(float, coefficients)), tuple(map(float, nodes)), tuple(parts))


def two_step() -> Scheme:
    """The explicit two-step midpoint rule, started by the explicit midpoint method where no earlier state is given."""
    return Scheme("two-step")


EULER = runge_kutta([[]], [1.0], [0.0])
"""y + dt f(y)."""

SYMPLECTIC_EULER = shears((1, 0), (1.0, 1.0), (0.0, 0.0))
"""p moves first, with the old q; then q, with the new p; both see the control at the start of the step."""

LEAPFROG = shears((1, 0, 1), (0.5, 1.0, 0.5), (0.0, 0.5, 1.0))
"""Stoermer-Verlet, kick-drift-kick; the control is taken at the start, the middle and the end of the step."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to integrate: dy/dt = pointwise(p, u) with p = y K^T, from y0, through all samples.

    Everything is contiguous, on the CPU, of one dtype (float32 or float64; `dt` may be of another floating type).

    Attributes:
        y0: the state before the first sample.
        weight: K.
        samples: the input x, or, without `input_weight`, the control u itself.
        scheme: the discretisation.
        dt: the time from one sample to the next.
        input_weight: V of u = squash(x V^T + b), or None.
        bias: b, or None.
        kind: "tanh": tanh(p + u); "gated-tanh": sigmoid(p + u_z) tanh(p + u_c) with u = (u_c, u_z); "linear": p + u;
            "linear-plus-tanh": p_1 + tanh(p_2 + u) with p = (p_1, p_2), so K has twice as many rows as columns.
            Partitioned schemes take "tanh" alone.
        squash: "identity", or "tanh", which the control goes through at the samples, before the hold. A control that
            is given (no `input_weight`) is taken as it is, and refuses "tanh".
        hold: "zero-order": the sample's control throughout; "linear": from the sample before to the sample.
        before: linear hold: the control, squashed, of the sample before the first; None: as the first sample's.
        substeps: solver steps a sample.
        y_previous: two-step scheme: the state one solver step before y0; None to start the method.
        dt_previous: two-step scheme: the length of that solver step.
    """

    y0: Float[Tensor, "batch state"]
    weight: Float[Tensor, "image state"]
    samples: Float[Tensor, "time batch input"]
    scheme: Scheme
    dt: float | Float[Tensor, ""] | Float[Tensor, " time"] | Float[Tensor, "batch time"]
    input_weight: Float[Tensor, "control input"] | None = None
    bias: Float[Tensor, " control"] | None = None
    kind: Kind = "tanh"
    squash: Squash = "identity"
    hold: Hold = "zero-order"
    before: Float[Tensor, "batch control"] | None = None
    substeps: int = 1
    y_previous: Float[Tensor, "batch state"] | None = None
    dt_previous: Float[Tensor, " batch"] | None = None

    def arguments(self) -> tuple[Any, ...]:
        """What both operators take, in their order."""
        scheme = self.scheme
        return (
            *(self.y0, self.weight, self.samples, self.input_weight, self.bias, self.before),
            *(as_step(self.dt), self.y_previous, self.dt_previous),
            *(self.kind, self.squash, self.hold),
            *(scheme.family, scheme.a, scheme.b, scheme.c, scheme.parts, self.substeps),
        )


class Solution(NamedTuple):
    """What `solve` returns.

    Attributes:
        kept: the states that the adjoint needs, None if they were not asked for. With one solver step a sample, and
            for every scheme without memory, this is the trajectory. The two-step scheme keeps the states between
            samples too: its trajectory is `trajectory`.
        last: the state after the last sample.
        last_but_one: two-step scheme: the state one solver step before `last`; else None.
        trajectory: the states after the samples, a view of `kept`.
    """

    kept: Float[Tensor, "steps batch state"] | None
    last: Float[Tensor, "batch state"]
    last_but_one: Float[Tensor, "batch state"] | None
    trajectory: Float[Tensor, "time batch state"] | None


class Gradients(NamedTuple):
    """What `pull_back` returns; None for what the call does not have or nobody asked for."""

    y0: Float[Tensor, "batch state"]
    weight: Float[Tensor, "image state"]
    input_weight: Float[Tensor, "control input"] | None
    bias: Float[Tensor, " control"] | None
    samples: Float[Tensor, "time batch input"] | None
    before: Float[Tensor, "batch control"] | None
    dt: Float[Tensor, "batch time"] | None
    y_previous: Float[Tensor, "batch state"] | None
    dt_previous: Float[Tensor, " batch"] | None


def solve(call: Call, *, keep: bool) -> Solution:
    """Integrate. Without `keep` nothing but the state is stored.

    Raises:
        NativeUnavailable: the kernels cannot be built here.
        TypeError, ValueError: a tensor's dtype, shape or layout, or a scheme that is not explicit.
    """
    load()
    kept, last, last_but_one = torch.ops.odernn_native.solve(*call.arguments(), keep)
    every = call.substeps if call.scheme.family == "two-step" else 1
    return Solution(
        kept if keep else None,
        last,
        last_but_one if last_but_one.numel() else None,
        kept[every - 1 :: every] if keep else None,
    )


def pull_back(
    call: Call,
    kept: Float[Tensor, "steps batch state"],
    *,
    kept_gradient: Float[Tensor, "steps batch state"] | None = None,
    last: Float[Tensor, "batch state"] | None = None,
    last_but_one: Float[Tensor, "batch state"] | None = None,
    want_samples: bool = False,
    want_dt: bool = False,
) -> Gradients:
    """The exact gradients of the discretised equation.

    Args:
        call: what was integrated.
        kept: `solve(call, keep=True).kept`.
        kept_gradient: the loss's gradient by every kept state. Where the two-step scheme keeps more than the
            trajectory, the trajectory's gradient goes to the places [substeps - 1 :: substeps].
        last: by the last state, beside what `kept_gradient` says of it.
        last_but_one: two-step scheme: by the state one solver step before the last, likewise.
        want_samples: compute the gradient by `call.samples`.
        want_dt: compute the gradient by dt, entry by entry; whoever gave a number or (time,) sums it.

    Raises:
        NativeUnavailable, TypeError, ValueError: as `solve`.
    """
    load()
    gradients = torch.ops.odernn_native.pull_back(
        *(kept, kept_gradient, last, last_but_one, *call.arguments()), want_samples, want_dt
    )
    y0, weight, *optional = gradients
    present: list[Tensor | None] = [gradient if gradient.numel() else None for gradient in optional]
    if present[4] is not None:
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
        image: D_p^T kappa: dL/dK is the sum of its products with the states that the images were made of.
        kappa: the gradient by every rate. dL/du is the sum of D_u^T kappa, dL/ddt that of kappa . rate / dt, and of
            the two-step scheme kappa / s is the gradient by the state after the step.
        carried: two-step scheme: the gradient by the state one solver step before the first step's, as far as it does
            not go by way of the state in between; else None.
    """

    lambda_: Float[Tensor, "batch state"]
    image: Float[Tensor, "steps stages batch image"]
    kappa: Float[Tensor, "steps stages batch moved"]
    carried: Float[Tensor, "batch state"] | None


def recursion(
    lambda_: Float[Tensor, "batch state"],
    weight: Float[Tensor, "images state"],
    image_derivative: Float[Tensor, "steps stages batch image"],
    dt: Schedule | TwoStepWeights,
    scheme: Scheme,
    *,
    state_derivative: Float[Tensor, "steps stages batch state"] | None = None,
    trajectory: Float[Tensor, "outputs batch state"] | None = None,
    substeps: int = 1,
    carried: Float[Tensor, "batch state"] | None = None,
) -> Recursion:
    """The sequential part of the exact adjoint of any affine-pointwise field, whose derivatives the caller computed.

    A step is a solver step. With lambda the gradient by the state after it, and of the states in that order:

    - an explicit tableau: for its stages from the last, kappa_i = dt (b_i lambda + sum_{j>i} a_ji mu_j) and
      mu_i = D_y kappa_i + (D_p kappa_i) K; then lambda += sum_i mu_i.
    - kicks and drifts: for the moves from the last, kappa = coefficient dt lambda_moved and
      lambda_other += (D_p kappa) K_moved,other. `moved` is the half (q or p) that the move adds to, the state being
      (q, p); the nodes do not matter here.
    - two-step: kappa = s lambda; (lambda, carried) <- (carried + w lambda + D_y kappa + (D_p kappa) K, e lambda).

    K has g groups of `state` rows, `images` = g state: dy_i/dt depends on the entries i, i + state, ... of y K^T. Every
    tensor is contiguous, on the CPU and of lambda's dtype; the schedules may be of another floating type.

    Args:
        lambda_: the loss's gradient by the state after the last step, beside what `trajectory` says of it.
        weight: K.
        image_derivative: D_p of every stage (or move) of every step, group after group. A stage has `image` = g state
            columns, a move those of the half that it moves: `image` = g state / 2. The two-step scheme has one stage.
        dt: of every step: a number, (steps,) or (batch, steps). The two-step scheme takes its weights in its place.
        scheme: an explicit tableau (of any number of stages), kicks and drifts, or the two-step scheme.
        state_derivative: D_y, or None where the field does not see the state itself. Kicks and drifts have none.
        trajectory: the loss's gradient by the states after the last step and after every `substeps`-th before it, in
            the order of time: `outputs` = steps / substeps, rounded up.
        substeps: steps from one gradient in `trajectory` to the next.
        carried: two-step scheme: the loss's gradient by the state before the last step; None is zero.

    Raises:
        NativeUnavailable, TypeError, ValueError: as `solve`.
    """
    load()
    schedules = [as_step(one) for one in (dt if isinstance(dt, TwoStepWeights) else (dt,))]
    found, image, kappa, out = torch.ops.odernn_native.recursion(
        *(lambda_, carried, weight, image_derivative, state_derivative, trajectory, schedules),
        *(scheme.family, scheme.a, scheme.b, scheme.parts, substeps),
    )
    return Recursion(found, image, kappa, out if out.numel() else None)


def as_step(dt: float | Tensor) -> Tensor:
    """A number as a tensor of float64, so that it is rounded once."""
    return dt if isinstance(dt, Tensor) else torch.tensor(dt, dtype=torch.float64)


def release_memory() -> None:
    """Give back the large blocks that wait for the next call."""
    load()
    torch.ops.odernn_native.empty_pool()
