"""Products of rows and weights, of one network or of several, whose weights are stacked and whose rows follow in turn.

Of one network a weight is (P, n). Of several it is (models, P, n), and of the rows (..., models * batch, n) the first
`batch` are of the first network, and so on.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear


def times(x: Tensor, matrix: Tensor, out: Tensor | None = None) -> Tensor:
    """Rows x (..., rows, n) times a matrix (n, P) or (models, n, P); `out` only of x (rows, n)."""
    if matrix.ndim == 2:
        return torch.matmul(x, matrix) if out is None else torch.mm(x, matrix, out=out)
    found = torch.einsum("...mbn,mnp->...mbp", of_models(x, matrix), matrix).flatten(-3, -2)
    return found if out is None else out.copy_(found)


def add_times(total: Tensor, x: Tensor, matrix: Tensor) -> Tensor:
    """Add the product of rows (rows, n) and a matrix to `total`."""
    return total.addmm_(x, matrix) if matrix.ndim == 2 else total.add_(times(x, matrix))


def add_outer(total: Tensor | None, left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    """Add the sum over times and rows of left_p right_n to `total`, or begin with it if there is none.

    Args:
        total: a weight's gradient, written into.
        left: (time, rows, P).
        right: (time, rows, n).
        weight: the weight (P, n) or (models, P, n), or a part of it.
    """
    if weight.ndim == 2:
        rows, columns = left.flatten(0, 1).T, right.flatten(0, 1)
        return rows @ columns if total is None else total.addmm_(rows, columns)
    found = torch.einsum("tmbp,tmbn->mpn", of_models(left, weight), of_models(right, weight))
    return found if total is None else total.add_(found)


def add_rows(total: Tensor | None, x: Tensor, bias: Tensor) -> Tensor:
    """Add the sum over times and rows (time, rows, n) to `total`, likewise, for a bias (n,) or (models, n)."""
    if bias.ndim == 1:
        flat = x.flatten(0, 1)
        found = flat.T @ flat.new_ones(len(flat))  # faster than a sum over a long dimension, on a GPU four times
    else:
        found = of_models(x, bias).sum((0, 2))
    return found if total is None else total.add_(found)


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The rows x times the transposed weight, plus the bias (P,) or (models, P)."""
    if weight.ndim == 2:
        return linear(x, weight, bias)
    found = of_models(times(x, weight.mT), weight)
    return (found if bias is None else found.add_(bias.unsqueeze(1))).flatten(-3, -2)


def of_models(x: Tensor, weights: Tensor) -> Tensor:
    """Rows (..., models * batch, n) as (..., models, batch, n), with as many models as the weights have."""
    return x.unflatten(-2, (len(weights), -1))
