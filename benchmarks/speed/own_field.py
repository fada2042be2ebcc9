"""A coupled oscillatory network as a user of the package writes it, whose kernels are compiled from its `pointwise`."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from odernn import AffineControl, AffinePointwiseField
from solvers.extend import Time


class OwnCoRNN(AffinePointwiseField):
    """dq/dt = p, dp/dt = tanh(W q + W_2 p + V x + b) - q - p, the state being (q, p).

    Args:
        input_size: features of an input sample.
        hidden_size: units of the state, an even number.

    Source: Rusch & Mishra, Coupled oscillatory recurrent neural network (ICLR 2021), eq. (1), gamma = epsilon = 1.
    """

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True
    weight_blocks = (("zero", "diagonal"), ("diagonal", "diagonal"), ("zero", "zero"), ("dense", "dense"))

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Parameter(torch.randn(hidden_size // 2, hidden_size) / sqrt(hidden_size))
        self.input_map = nn.Linear(input_size, hidden_size // 2)

    def affine_control(self) -> AffineControl:
        """(0, V x + b)."""
        v, b = self.input_map.weight, self.input_map.bias
        return AffineControl(torch.cat((torch.zeros_like(v), v)), torch.cat((torch.zeros_like(b), b)), squashed=False)

    def weight(self) -> Tensor:
        """The linear part above the matrix inside the tanh."""
        n = self.hidden_size // 2
        zero, one = self.recurrent.new_zeros(n, n), torch.eye(n, dtype=self.recurrent.dtype)
        linear = torch.cat((torch.cat((zero, one), dim=1), torch.cat((-one, -one), dim=1)))
        return torch.cat((linear, torch.cat((zero, zero), dim=1), self.recurrent))

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        """p_1 + tanh(p_2 + u)."""
        linear, inside = p.chunk(2, dim=-1)
        return linear + torch.tanh(inside + u)

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        """The first half of the derivative."""
        return p

    def kick(self, t: Time, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        """The second half."""
        inside = torch.cat((q, p), dim=-1) @ self.recurrent.T
        return torch.tanh(inside + u[..., self.hidden_size // 2 :]) - q - p
