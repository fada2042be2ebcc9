"""u = squash(x V^T + b): a control that the engines can make themselves."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from .stacked_weights import affine


class AffineControl(NamedTuple):
    """The control's map of the input.

    Attributes:
        weight: V (U, m), or None for samples that are the control; or (models, U, m), as `stacked_weights` has them.
        bias: b (U,), or None with V; or (models, U).
        squashed: whether the tanh of it is taken.
    """

    weight: Tensor | None
    bias: Tensor | None
    squashed: bool

    def __call__(self, x: Tensor) -> Tensor:
        """The control (..., U) of the samples (..., m)."""
        if self.weight is None:
            return x
        u = affine(x, self.weight, self.bias)
        return u.tanh_() if self.squashed else u


GIVEN = AffineControl(None, None, squashed=False)
"""Of samples that are the control."""
