"""A field that states V and b of its control is the field that computes V x + b itself, wherever it runs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AffineControl, AffinePointwiseField
from odernn.fields.overrides import affine_control_of
from tests.pairs import crossed

DOUBLE = torch.float64
INPUT, N = 2, 6
LENGTHS = torch.tensor([9, 4, 7, 2])


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


def found(field: Field, *, compiled: bool = False, **facts: str) -> list[Tensor]:
    """Outputs, those of a stream, those with lengths, and every gradient."""
    x = torch.randn(9, 4, INPUT, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)).requires_grad_()
    rnn = ODERNN(field, dt=0.1, substeps=2, **facts)
    if compiled:
        rnn.compile_kernels()
    (output, y_n), (shorter, _) = rnn(x), rnn(x, lengths=LENGTHS)
    assert output is not None
    assert shorter is not None
    loss = output.sin().sum() + y_n.sum() + shorter.sum()
    gradients = torch.autograd.grad(loss, (x, *field.parameters()))
    with torch.no_grad():
        stream = rnn.stream(4)
        streamed = torch.stack([stream(sample) for sample in x])
    return [output.detach(), shorter.detach(), streamed, *gradients]


@crossed(
    {
        "solver": ["euler", "rk4", "leapfrog-midpoint", "implicit-midpoint"],
        "hold": ["zero-order", "linear"],
        "adjoint": ["auto", "autograd", "checkpointed", "continuous"],
        "engine": ["auto", "torch"],
    },
)
def test_it_is_the_field_that_computes_its_control(solver: str, hold: str, adjoint: str, engine: str) -> None:
    facts = {"solver": solver, "hold": hold, "adjoint": adjoint, "engine": engine}
    for one, other in zip(found(Stated(), **facts), found(Called(), **facts), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)  # sums in another order


@pytest.mark.kernels
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
def test_compiled_kernels_make_it(hold: str) -> None:
    facts = {"solver": "heun", "hold": hold}
    for one, other in zip(found(Stated(), compiled=True, **facts), found(Called(), **facts), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def overriding() -> Field:
    class Both(Stated):
        def control(self, x: Tensor) -> Tensor:
            return x.sum(-1, keepdim=True).expand(*x.shape[:-1], N)

    return Both()


def replaced() -> Field:
    field = Stated()
    field.control = lambda x: x.sum(-1, keepdim=True).expand(*x.shape[:-1], N)  # pyright: ignore
    return field


@pytest.mark.parametrize("make", [overriding, replaced])
def test_a_control_of_its_own_is_called(make: Callable[[], Field]) -> None:
    assert affine_control_of(make())[0] is None


def test_a_field_that_says_neither_is_told() -> None:
    x = torch.zeros(3, 2, INPUT, dtype=DOUBLE)
    with pytest.raises(NotImplementedError, match="Field says nothing of its input; give it a method `control`, or"):
        ODERNN(Field(), "euler", dt=0.1)(x)
