"""What the tests of the analysis share: a fitting field for every solver, and the derivative by torch's own means."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, HamiltonianField, LipschitzField, NoisyField, VectorField
from solvers import Need, Solver

DOUBLE = torch.float64


@pytest.fixture
def field_for() -> Callable[[Solver], VectorField]:
    """A field of six units and two inputs, in float64, with the structure that a solver needs."""

    def make(solver: Solver) -> VectorField:
        if solver.needs is Need.PARTITION:
            return HamiltonianField(2, 6, dtype=DOUBLE)
        field = LipschitzField(2, 6, dtype=DOUBLE)
        return NoisyField(field, additive=0.1) if solver.needs is Need.DIFFUSION else field

    return make


@pytest.fixture
def by_autograd() -> Callable[[ODERNN, Tensor, Tensor], Tensor]:
    """The derivative of y_n by y0, (batch, hidden, hidden): one backward pass a unit of each sequence."""

    def derive(rnn: ODERNN, x: Tensor, y0: Tensor) -> Tensor:
        start = y0.clone().requires_grad_()
        _, end = rnn(x, start, save="end")
        batch, size = end.shape[1:]
        jacobian = torch.zeros(batch, size, size, dtype=end.dtype)
        for b in range(batch):
            for i in range(size):
                (gradient,) = torch.autograd.grad(end[0, b, i], start, retain_graph=True)
                jacobian[b, i] = gradient[0, b]
        return jacobian

    return derive
