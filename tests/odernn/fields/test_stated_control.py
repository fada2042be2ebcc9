"""A field that states V and b of its control is the field that computes V x + b itself, wherever it runs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from odernn import ODERNN
from odernn.fields.overrides import affine_control_of
from tests.odernn.engines.native.builds import built
from tests.odernn.fields.stated import DOUBLE, INPUT, Called, Field, N, Stated
from tests.pairs import crossed

LENGTHS = torch.tensor([4, 2, 3, 1])


def found(field: Field, *, compiled: bool = False, **facts: str) -> list[Tensor]:
    """Outputs, those of a stream, those with lengths, and every gradient."""
    x = torch.randn(4, 4, INPUT, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)).requires_grad_()
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
@pytest.mark.ahead.with_args(built)
@pytest.mark.usefixtures("unoptimised")
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
