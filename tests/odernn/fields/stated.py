"""A field that computes its control, and the same field that states V and b of it."""

import torch
from torch import Tensor, nn

from odernn import AffineControl, AffinePointwiseField

DOUBLE = torch.float64
INPUT, N = 2, 6


class Field(AffinePointwiseField):
    """V and b are functions of parameters that keep tensors for their gradients; half of either is zero."""

    def __init__(self) -> None:
        super().__init__(INPUT, N)
        torch.manual_seed(0)
        self.recurrent = nn.Parameter(torch.randn(N, N, dtype=DOUBLE) / 3)
        self.v = nn.Parameter(torch.randn(N // 2, INPUT, dtype=DOUBLE))
        self.b = nn.Parameter(torch.randn(N // 2, dtype=DOUBLE))

    def weight(self) -> Tensor:
        return self.recurrent - self.recurrent.T

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p + u) - 0.1 * y

    def map(self) -> tuple[Tensor, Tensor]:
        v, b = self.v * self.v.exp(), self.b.exp()
        return torch.cat((v, torch.zeros_like(v))), torch.cat((b, torch.zeros_like(b)))


class Called(Field):
    def control(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, *self.map())


class Stated(Field):
    def affine_control(self) -> AffineControl:
        return AffineControl(*self.map(), squashed=False)
