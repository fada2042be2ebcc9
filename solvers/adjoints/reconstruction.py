"""How far the states that were made again by stepping back are from those of the forward pass."""

from __future__ import annotations

import torch
from torch import Tensor


class Sizes:
    """How large the states of a forward pass were.

    Attributes:
        largest: of each sample the norm of its largest state (...), of states (..., n).
    """

    def __init__(self, y0: Tensor) -> None:
        self.largest = _norm(y0)

    def meet(self, y: Tensor) -> None:
        """Take note of a state."""
        self.largest = torch.maximum(self.largest, _norm(y))


class Comparison:
    """The error of the states made again, as it counts for the gradient.

    By a weight the gradient is a sum over the steps of products lambda_n y_n, lambda_n the gradient by the state n: a
    state that is off by d_n changes its term by |lambda_n| d_n, and the Jacobian of its step by some f'' d_n. So d_n is
    compared with the largest state of the sample and, where lambda grows in the backward pass, with the largest
    product: d_n / min(max |y|, max |lambda| |y| / |lambda_n|).

    The largest state, since rounding is relative to the states along the way: from y0 = 0 the first one is as small as
    dt, and being off by the rounding of the others it gives as good a gradient. The largest product, since on a field
    that amplifies, the small states of the beginning have the large gradients.

    It is taken once, at the first step, where the whole way lies behind. The way back does not forget an error, since
    the steps of all these methods keep volume (with a second state their determinant is -1, kicks and drifts are
    shears): what shrinks in one direction grows in another.

    Args:
        sizes: of the states of the forward pass.
    """

    def __init__(self, sizes: Sizes) -> None:
        self._largest = sizes.largest
        self._product = torch.zeros_like(sizes.largest)

    def meet(self, y: Tensor, gradient: Tensor) -> None:
        """Note a state of the backward pass and the gradient by it."""
        self._product = torch.maximum(self._product, _norm(y) * _norm(gradient))

    def error(self, y: Tensor, true: Tensor, gradient: Tensor) -> float:
        """The largest error of a sample's state against the true one. Reads one value back from the device."""
        self.meet(true, gradient)
        tiny = torch.finfo(self._product.dtype).tiny
        scale = torch.minimum(self._largest, self._product / _norm(gradient).clamp_min(tiny))
        weighty = _norm(gradient) != 0  # a sample that no loss looks at has no gradient to be wrong; NaN has
        return float(torch.where(weighty, _norm(y - true) / scale.clamp_min(tiny), 0.0).max())


def _norm(y: Tensor) -> Tensor:
    """The norm of each sample over the units."""
    return torch.linalg.vector_norm(y, dim=-1)
