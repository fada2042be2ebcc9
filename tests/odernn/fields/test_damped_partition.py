"""A field of the user's whose kick sees its own half, on the layer: SymplecticEuler is semi-implicit Euler there."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AffinePointwiseField, VectorField
from odernn.fields.field import is_damped_partitioned, is_partitioned
from solvers.extend import Time

DOUBLE = torch.float64
INPUT, HALF, DT, SUBSTEPS = 2, 3, 0.2, 2
ROUNDING: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}  # a dozen steps of a few operations


class Pendulums(VectorField):
    """Coupled pendulums with friction, pushed by the input."""

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(INPUT, 2 * HALF)
        torch.manual_seed(0)
        self.coupling = nn.Linear(HALF, HALF, dtype=DOUBLE)
        self.friction = nn.Parameter(torch.rand(HALF, dtype=DOUBLE))
        self.input_map = nn.Linear(INPUT, HALF, dtype=DOUBLE)

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p)

    def kick(self, t: Time, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return u - torch.sin(self.coupling(q)) - self.friction * p

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        q, p = y.chunk(2, dim=-1)
        return torch.cat((self.drift(t, p, u), self.kick(t, q, p, u)), dim=-1)


class Affine(AffinePointwiseField):
    """The same kind of field with the structure that the discrete adjoint takes in parallel: p is damped."""

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(INPUT, 2 * HALF)
        torch.manual_seed(0)
        self.recurrent = nn.Parameter(torch.randn(HALF, HALF, dtype=DOUBLE))
        self.friction = nn.Parameter(torch.rand(2 * HALF, dtype=DOUBLE))
        self.input_map = nn.Linear(INPUT, 2 * HALF, dtype=DOUBLE)

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def weight(self) -> Tensor:
        zero = torch.zeros_like(self.recurrent)
        return torch.cat((torch.cat((zero, self.recurrent), 1), torch.cat((-self.recurrent.T, zero), 1)))

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        rate = torch.cat((torch.zeros(HALF, dtype=DOUBLE), self.friction[HALF:]))
        return torch.tanh(p + u) - rate * y

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p @ self.recurrent.T + u[..., :HALF])

    def kick(self, t: Time, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(-q @ self.recurrent + u[..., HALF:]) - self.friction[HALF:] * p


def loop(field: Pendulums | Affine, x: Tensor) -> Tensor:
    """The update by hand, zero-order hold."""
    q, p = torch.zeros(len(x[0]), 2 * HALF, dtype=DOUBLE).chunk(2, dim=-1)
    outputs, t, dt = [], torch.zeros(()), DT / SUBSTEPS
    for sample in x:
        u = field.control(sample)
        for _ in range(SUBSTEPS):
            p = p + dt * field.kick(t, q, p, u)
            q = q + dt * field.drift(t, p, u)
        outputs.append(torch.cat((q, p), dim=-1))
    return torch.stack(outputs)


@pytest.mark.parametrize("kind", [Pendulums, Affine])
@pytest.mark.parametrize("adjoint", ["auto", "autograd", "discrete", "checkpointed"])
def test_the_layer_is_the_loop_by_hand_with_its_gradients(kind: type[Pendulums | Affine], adjoint: str) -> None:
    field, x = kind(), torch.randn(5, 4, INPUT, dtype=DOUBLE, requires_grad=True)
    rnn = ODERNN(field, "symplectic-euler", dt=DT, substeps=SUBSTEPS, adjoint=adjoint)
    output, y_n = rnn(x)
    assert output is not None
    wanted = loop(field, x)
    torch.testing.assert_close(output, wanted, **ROUNDING)
    leaves = (x, *field.parameters())
    ours = torch.autograd.grad(output.sin().sum() + y_n.sum(), leaves, allow_unused=True)
    by_hand = torch.autograd.grad(wanted.sin().sum() + wanted[-1].sum(), leaves, allow_unused=True)
    for one, other in zip(ours, by_hand, strict=True):
        torch.testing.assert_close(one, other, **ROUNDING)


@pytest.mark.parametrize("engine", ["torch", pytest.param("native", marks=pytest.mark.kernels)])
def test_the_engines_have_every_gradient_of_autograd(engine: str) -> None:
    """That of a step for each sample needs dL by each slope, and only of the half that a stage moves."""

    def gradients(**options: str) -> tuple[Tensor, ...]:
        torch.manual_seed(1)
        field, x = Affine(), torch.randn(5, 4, INPUT, dtype=DOUBLE, requires_grad=True)
        dt = torch.rand(4, 5, dtype=DOUBLE).mul_(DT).requires_grad_()
        rnn = ODERNN(field, "symplectic-euler", dt=0.1, substeps=SUBSTEPS, **options)
        output, y_n = rnn(x, dt=dt)
        assert output is not None
        return torch.autograd.grad(output.sin().sum() + y_n.sum(), (x, dt, *field.parameters()), materialize_grads=True)

    for one, other in zip(gradients(engine=engine), gradients(adjoint="autograd"), strict=True):
        torch.testing.assert_close(one, other, **ROUNDING)


@pytest.mark.parametrize("kind", [Pendulums, Affine])
def test_a_stream_is_the_loop_by_hand(kind: type[Pendulums | Affine]) -> None:
    field, x = kind(), torch.randn(5, 4, INPUT, dtype=DOUBLE)
    stream = ODERNN(field, "symplectic-euler", dt=DT, substeps=SUBSTEPS).stream(4)
    with torch.no_grad():
        torch.testing.assert_close(torch.stack([stream(sample) for sample in x]), loop(field, x), **ROUNDING)


@pytest.mark.parametrize("kind", [Pendulums, Affine])
@pytest.mark.parametrize("solver", ["leapfrog", "yoshida4"])
def test_other_compositions_are_refused(kind: type[Pendulums | Affine], solver: str) -> None:
    with pytest.raises(ValueError, match=f"`kick_sees_p` is true of {kind.__name__}, and .* SymplecticEuler"):
        ODERNN(kind(), solver, dt=DT)(torch.zeros(5, 4, INPUT, dtype=DOUBLE))


def test_the_reversible_adjoint_is_refused() -> None:
    rnn = ODERNN(Pendulums(), "symplectic-euler", dt=DT, adjoint="reversible")
    with pytest.raises(ValueError, match=r"`kick_sees_p` .* no inverse in closed form"):
        rnn(torch.zeros(5, 4, INPUT, dtype=DOUBLE))


def test_the_two_kinds_of_partition_exclude_each_other() -> None:
    for field in (Pendulums(), Affine()):
        assert is_damped_partitioned(field)
        assert not is_partitioned(field)
