"""What dL/du gives to the samples and to the parameters of an affine control, added up chunk by chunk."""

from __future__ import annotations

import torch
from torch import Tensor

from ...control.input_map import AffineControl
from ...control.stacked_weights import add_outer, add_rows, times
from ..formulas import one_minus_square


class InputGradients:
    """The gradients by V, b and the samples, added up chunk by chunk.

    Args:
        control: the map.
        samples: the whole input (time, batch, m).
        want_samples: whether a gradient by the samples is asked for.
    """

    def __init__(self, control: AffineControl, samples: Tensor, want_samples: bool) -> None:
        self.control = control
        self.input = samples
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self.samples = torch.empty_like(samples) if want_samples else None

    def add(self, start: int, stop: int, u: Tensor | None, gradient: Tensor) -> None:
        """Add what dL/du (time, batch, U) of the samples from `start` to `stop` gives.

        Args:
            start: the first sample.
            stop: the one after the last.
            u: their control; may be None where nothing squashes it.
            gradient: dL/du.
        """
        if self.control.squashed and self.control.weight is not None:
            assert u is not None
            gradient = gradient * one_minus_square(u)
        V, b = self.control.weight, self.control.bias
        if V is not None and b is not None:
            self.weight = add_outer(self.weight, gradient, self.input[start:stop], V)
            self.bias = add_rows(self.bias, gradient, b)
        if self.samples is not None:
            self.samples[start:stop] = gradient if V is None else times(gradient, V)
