"""The derivative of an implicit stage, and the linear systems that Newton's method and the adjoint solve with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...arithmetic import advance
from ...right_hand_side import AffinePointwise, affine_of
from .stage import ImplicitStage

Derivative = tuple[Tensor, ...]
"""J = dt df/dy of every row: (J,), (..., n, n), or the parts (D_y, D_p, K) of an affine-pointwise f, which is what a
long trajectory can afford to keep: J = diag(D_y) + sum_k diag(D_p_k) K_k over the blocks K_k (n, n) of K."""


@dataclass(frozen=True, slots=True)
class Factors:
    """I - J in its LU factors: one system a row. A singular one yields values that are not finite."""

    lu: Tensor
    pivots: Tensor

    def solve(self, right: Tensor) -> Tensor:
        """The solution x (..., n) of (I - J) x = right."""
        return torch.linalg.lu_solve(self.lu, self.pivots, right.unsqueeze(-1)).squeeze(-1)

    def solve_transposed(self, right: Tensor) -> Tensor:
        """The solution x (..., n) of (I - J)^T x = right."""
        return torch.linalg.lu_solve(self.lu, self.pivots, right.unsqueeze(-1), adjoint=True).squeeze(-1)


def factorise(derivative: Derivative) -> Factors:
    """The factors of I - J. Nothing is read back from the device."""
    jacobian = derivative[0] if len(derivative) == 1 else _assemble(*derivative)
    identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)
    lu, pivots, _ = torch.linalg.lu_factor_ex(identity - jacobian)
    return Factors(lu, pivots)


def derivative(stage: ImplicitStage, y: Tensor) -> Derivative:
    """The derivative of the image of `stage` at `y`, detached.

    Of an affine-pointwise f by its elementwise derivatives: one backward pass. Of any other by one backward pass over
    a batch of as many unit vectors as a row has entries.
    """
    affine = affine_of(stage.f)
    if affine is None or y.is_complex() or not y.ndim:
        return (_dense(stage, y),)
    return _elementwise(stage, affine, y)


@torch.enable_grad()
def _elementwise(stage: ImplicitStage, affine: AffinePointwise, y: Tensor) -> Derivative:
    weight = affine.weight.detach()
    y = y.detach().requires_grad_()
    p = functional.linear(y.detach(), weight).requires_grad_()
    image = advance(stage.base, stage.dt, affine.pointwise(stage.t, y, p))
    return (*_gradients(image.sum(), (y, p), None), weight)


@torch.enable_grad()
def _dense(stage: ImplicitStage, y: Tensor) -> Tensor:
    row = stage.pack(y).detach().requires_grad_()
    n = row.shape[-1]
    units = torch.eye(n, dtype=row.dtype, device=row.device).reshape(n, *[1] * (row.ndim - 1), n)
    image = stage.pack(stage.image(stage.unpack(row)))
    (jacobian,) = _gradients(image, (row,), units.expand(n, *row.shape))
    return jacobian.movedim(0, -2)


def _gradients(image: Tensor, inputs: Sequence[Tensor], units: Tensor | None) -> tuple[Tensor, ...]:
    """The gradients, zero where the image does not depend on an input; with `units`, one more leading dimension."""
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if image.requires_grad:
        found = torch.autograd.grad(image, inputs, units, is_grads_batched=units is not None, allow_unused=True)
    batch = () if units is None else units.shape[:1]
    pairs = zip(found, inputs, strict=True)
    return tuple(part.new_zeros(*batch, *part.shape) if grad is None else grad for grad, part in pairs)


def _assemble(by_y: Tensor, by_p: Tensor, weight: Tensor) -> Tensor:
    """diag(D_y) + sum_k diag(D_p_k) K_k."""
    n = by_y.shape[-1]
    blocks = torch.einsum("...ki,kij->...ij", by_p.unflatten(-1, (-1, n)), weight.unflatten(0, (-1, n)))
    return torch.diag_embed(by_y) + blocks
