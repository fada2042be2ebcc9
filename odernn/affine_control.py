"""u = squash(x V^T + b): a control that the engines can make themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class AffineControl:
    """The control's map of the input.

    Attributes:
        weight: V (U, m), or None for samples that are the control.
        bias: b (U,), or None with V.
        squashed: whether the tanh of it is taken.
    """

    weight: Tensor | None
    bias: Tensor | None
    squashed: bool

    def __call__(self, x: Tensor) -> Tensor:
        """The control (..., U) of the samples (..., m)."""
        if self.weight is None:
            return x
        assert self.bias is not None
        u = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight.T).view(*x.shape[:-1], -1)
        return u.tanh_() if self.squashed else u
