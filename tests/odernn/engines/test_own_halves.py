"""Law: kicks and drifts that see their own half run parallel in time on a field of the user's own."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, DiscreteAdjoint
from odernn.engines.choice import Engine
from odernn.engines.torch.chunk import Chunk
from odernn.engines.torch.stepper import Stepper
from odernn.engines.torch.sweep import one_by_one
from odernn.fields.field import AffinePointwiseField
from solvers.extend import Time

DOUBLE = torch.float64


class Springs(AffinePointwiseField):
    """q' = p, p' = tanh(W (q, p) + V x + b) - friction p, with a friction for each unit."""

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int, pull: float = 1.0) -> None:
        super().__init__(input_size, hidden_size)
        self.oscillators, self.pull = hidden_size // 2, pull
        self.recurrent = nn.Parameter(0.5 * torch.randn(self.oscillators, hidden_size))
        self.friction = nn.Parameter(torch.rand(self.oscillators))
        self.input_map = nn.Linear(input_size, self.oscillators)

    def control(self, x: Tensor) -> Tensor:
        u = self.input_map(x)
        return torch.cat((torch.zeros_like(u), u), dim=-1)

    def weight(self) -> Tensor:
        identity = torch.eye(2 * self.oscillators, dtype=self.recurrent.dtype)[self.oscillators :]
        return torch.cat((identity, self.recurrent))

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        first, zero = torch.ones_like(self.friction), torch.zeros_like(self.friction)
        kick = torch.tanh(p + u) - torch.cat((zero, self.friction)) * y
        return torch.cat((first, zero)) * p + torch.cat((zero, first)) * kick

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return p

    def kick(self, t: Time, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        force = torch.tanh(torch.cat((q, p), dim=-1) @ self.recurrent.T + u[..., self.oscillators :])
        return self.pull * force - self.friction * p


@pytest.mark.parametrize("substeps", [1, 2])
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("engine", ["torch", pytest.param("auto", marks=pytest.mark.kernels)])
def test_they_have_autograds_numbers(engine: Engine, hold: str, substeps: int) -> None:
    torch.manual_seed(0)
    field = Springs(2, 6).double()
    facts = {"dt": 0.2, "substeps": substeps, "hold": hold, "batch_first": True}
    fast = ODERNN(field, "symplectic-euler", adjoint="discrete", engine=engine, **facts)
    exact = ODERNN(field, "symplectic-euler", adjoint="autograd", **facts)
    x = torch.randn(3, 5, 2, dtype=DOUBLE, requires_grad=True)
    dt = (0.1 + 0.1 * torch.rand(3, 5, dtype=DOUBLE)).requires_grad_()
    assert "not parallel" not in fast.choice(x).reason
    assert isinstance(fast.choice(x).adjoint, DiscreteAdjoint)
    found, wanted = (
        torch.autograd.grad(rnn(x, dt=dt)[0].square().sum(), [x, dt, *field.parameters()]) for rnn in (fast, exact)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)  # sums of some ten products in another order


def test_what_a_recursion_leaves_in_the_half_that_stands_does_not_count() -> None:
    """A kernel writes only the kappas that move the state; the memory of the others holds anything."""

    def moving_half_only(stepper: Stepper, chunk: Chunk, adjoint: list[Tensor], grad_saved: Tensor | None) -> None:
        one_by_one(stepper, chunk, adjoint, grad_saved)
        assert chunk.kappas is not None
        for place, half in enumerate(stepper.method.moved * stepper.substeps):
            chunk.kappas[:, place].unflatten(-1, (2, -1))[..., 1 - half, :] = torch.nan

    torch.manual_seed(0)
    field = Springs(2, 6).double()
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    dt = torch.full((3, 5), 0.2, dtype=DOUBLE, requires_grad=True)
    found, wanted = (
        torch.autograd.grad(rnn(x, dt=dt)[0].square().sum(), [dt, *field.parameters()])
        for adjoint in (DiscreteAdjoint(recursion=moving_half_only), DiscreteAdjoint())
        for rnn in [ODERNN(field, "symplectic-euler", dt=0.2, substeps=2, adjoint=adjoint, engine="torch")]
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)  # the same numbers in the same order


def test_a_kick_that_is_not_the_slope_is_asked() -> None:
    """Such a field is stepped by its kick, and no state is made of its `pointwise`."""
    torch.manual_seed(0)
    field = Springs(2, 6, pull=0.5).double()
    fast = ODERNN(field, "symplectic-euler", dt=0.2, adjoint="discrete", engine="torch")
    exact = ODERNN(field, "symplectic-euler", dt=0.2, adjoint="autograd")
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    torch.testing.assert_close(fast(x)[0], exact(x)[0])
