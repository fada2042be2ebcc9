"""What the tests of the implicit methods share."""

import pytest
import torch
from torch import Tensor

from solvers import AffinePointwise
from solvers.extend import Time
from tests.solvers.methods.implicit.formulas import DOUBLE


@pytest.fixture
def affine() -> AffinePointwise:
    """A field with two blocks of preactivation, explicit time and a weight that wants a gradient."""
    weight = (0.6 * torch.randn(6, 3, dtype=DOUBLE)).requires_grad_()

    def pointwise(t: Time, y: Tensor, p: Tensor) -> Tensor:
        first, second = p.chunk(2, -1)
        return torch.tanh(first + torch.sin(2 * torch.as_tensor(t, dtype=y.dtype))) * torch.sigmoid(second) - 0.3 * y

    return AffinePointwise(weight, pointwise)
