"""The derivative of an implicit stage, and the linear systems that Newton's method and the adjoint solve with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...arithmetic import advance
from ...right_hand_side import AffinePointwise, affine_of
from .stage import ImplicitStage

Derivative = tuple[Tensor, ...]
"""J = dt df/dy of every row: (J,), (rows, n, n), or the parts (D_y, D_p, K) of an affine-pointwise f, which is what a
long trajectory can afford to keep: J = diag(D_y) + sum_k diag(D_p_k) K_k over the blocks K_k (n, n) of K."""


@dataclass(frozen=True, slots=True)
class Factors:
    """I - share J in its LU factors: one system a row. A singular one yields values that are not finite.

    Attributes:
        lu: the factors (rows, n, n).
        pivots: the exchanges of rows (rows, n), counted from 1 as LAPACK does.
    """

    lu: Tensor
    pivots: Tensor

    def solve(self, right: Tensor) -> Tensor:
        """The solution x (rows, n) of (I - share J) x = right."""
        return torch.linalg.lu_solve(self.lu, self.pivots, right.unsqueeze(-1)).squeeze(-1)

    def solve_transposed(self, right: Tensor) -> Tensor:
        """The solution x (rows, n) of (I - share J)^T x = right."""
        return torch.linalg.lu_solve(self.lu, self.pivots, right.unsqueeze(-1), adjoint=True).squeeze(-1)

    def reverses(self) -> Tensor:
        """Whether det(I - share J) < 0, (rows, 1): an odd number of real eigenvalues of share J exceeds one."""
        return ((self._negative() ^ self._exchanged()).sum(-1, keepdim=True) % 2).bool()

    def doubtful(self) -> Tensor:
        """Whether a real eigenvalue of share J exceeds one, (rows, 1), as far as the factors tell.

        The determinant tells of an odd number. Without exchanges of rows a negative pivot tells of any number where
        the entries do not act on each other, as those of a batch that is one row.
        """
        exchanged = self._exchanged().any(-1, keepdim=True)
        return self.reverses() | (self._negative().any(-1, keepdim=True) & ~exchanged)

    def _negative(self) -> Tensor:
        return torch.diagonal(self.lu, dim1=-2, dim2=-1) < 0

    def _exchanged(self) -> Tensor:
        return self.pivots != torch.arange(1, self.pivots.shape[-1] + 1, device=self.pivots.device)

    def replaced(self, rows: Tensor, others: Factors) -> Factors:
        """The same with `others` in the rows where `rows` (rows,) is true."""
        if len(others.lu) == len(self.lu):
            return others
        lu, pivots = self.lu.clone(), self.pivots.clone()
        lu[rows], pivots[rows] = others.lu, others.pivots
        return Factors(lu, pivots)


def factorise(derivative: Derivative, share: float | Tensor = 1.0) -> Factors:
    """The factors of I - share J, `share` a number or (rows, 1). Nothing is read back from the device."""
    jacobian = derivative[0] if len(derivative) == 1 else _assemble(*derivative)
    share = share.unsqueeze(-1) if isinstance(share, Tensor) else share
    identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)
    lu, pivots, _ = torch.linalg.lu_factor_ex(identity - share * jacobian)
    return Factors(lu, pivots)


def factorise_rows(
    stage: ImplicitStage, y: Tensor, rows: Tensor, share: float | Tensor = 1.0
) -> tuple[Tensor, Factors]:
    """The image of the packed state `y` (rows, n), and the factors of I - share J in those rows that `rows` names."""
    image, found = linearise(stage, y)
    weight = found[2:]  # shared by the rows
    return image, factorise((*(part[rows] for part in found[:2]), *weight), share)


def derivative(stage: ImplicitStage, y: Tensor) -> Derivative:
    """The derivative of the image of `stage` at the state `y`, detached."""
    return linearise(stage, stage.pack(y))[1]


def linearise(stage: ImplicitStage, rows: Tensor) -> tuple[Tensor, Derivative]:
    """The image of `stage` at a packed state (rows, n), and its derivative there, both detached.

    Of an affine-pointwise f by its elementwise derivatives: one backward pass. Of any other by one backward pass over
    a batch of as many unit vectors as a row has entries.
    """
    affine = affine_of(stage.f)
    if affine is None or stage.base.is_complex() or not stage.base.ndim:
        return _dense(stage, rows)
    return _elementwise(stage, affine, stage.unpack(rows))


def _elementwise(stage: ImplicitStage, affine: AffinePointwise, y: Tensor) -> tuple[Tensor, Derivative]:
    weight = affine.weight.detach()

    def image(y: Tensor, p: Tensor) -> Tensor:
        return advance(stage.base, stage.dt, affine.pointwise(stage.t, y, p))

    value, (by_y, by_p) = _gradients(image, (y, functional.linear(y.detach(), weight)), None)
    return stage.pack(value), (stage.pack(by_y), by_p.reshape(-1, by_p.shape[-1]), weight)


def _dense(stage: ImplicitStage, rows: Tensor) -> tuple[Tensor, Derivative]:
    n = rows.shape[-1]
    units = torch.eye(n, dtype=rows.dtype, device=rows.device).unsqueeze(1).expand(n, *rows.shape)
    value, (jacobian,) = _gradients(stage.image_of_rows, (rows,), units)
    return value, (jacobian.movedim(0, -2),)


def _gradients(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], units: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The value, and the gradients of its sum, or with `units` of its product with each of them.

    A gradient is zero where the function does not depend on an input. Inference mode records nothing, but torch.func
    differentiates there, and takes what was made there.
    """
    if torch.is_inference_mode_enabled():
        value, pull = torch.func.vjp(function, *inputs)[:2]
        return value, pull(torch.ones_like(value)) if units is None else torch.func.vmap(pull)(units)
    with torch.enable_grad():
        inputs = tuple(part.detach().requires_grad_() for part in inputs)
        value = function(*inputs)
        seed, found = torch.ones_like(value) if units is None else units, (None,) * len(inputs)
        if value.requires_grad:
            found = torch.autograd.grad(value, inputs, seed, is_grads_batched=units is not None, allow_unused=True)
    batch = () if units is None else units.shape[:1]
    pairs = zip(found, inputs, strict=True)
    gradients = tuple(part.new_zeros(*batch, *part.shape) if grad is None else grad for grad, part in pairs)
    return value.detach(), gradients


def _assemble(by_y: Tensor, by_p: Tensor, weight: Tensor) -> Tensor:
    """diag(D_y) + sum_k diag(D_p_k) K_k."""
    n = by_y.shape[-1]
    blocks = torch.einsum("...ki,kij->...ij", by_p.unflatten(-1, (-1, n)), weight.unflatten(0, (-1, n)))
    return torch.diag_embed(by_y) + blocks
