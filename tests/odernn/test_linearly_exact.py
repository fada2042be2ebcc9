"""Law: the linearly exact Euler method gives autograd's numbers and gradients on every engine."""

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN, RecurrentState
from odernn.engines import native
from solvers import LinearlyExactEuler

DOUBLE = torch.float64
NAMES = ("oscillator", "unstructured-oscillator", "lipschitz", "linear-antisymmetric")
needs_compiler = pytest.mark.skipif(not native.is_available(), reason="no C++ compiler or ninja here")
EACH = [pytest.param("torch"), pytest.param("native", marks=needs_compiler)]


def layer(name: str, hold: str, substeps: int, engine: str) -> ODERNN:
    torch.manual_seed(0)
    field = FIELDS[name](2, 6, dtype=DOUBLE)
    torch.nn.init.normal_(field.get_submodule("input_map").bias)
    adjoint = "autograd" if engine == "autograd" else "auto"
    return ODERNN(
        field,
        LinearlyExactEuler(),
        dt=0.3,
        substeps=substeps,
        hold=hold,
        adjoint=adjoint,
        engine="auto" if engine == "autograd" else engine,
    )


def gradients(rnn: ODERNN) -> list[Tensor]:
    torch.manual_seed(1)
    x, y0, weights = (torch.randn(*shape, dtype=DOUBLE) for shape in ((7, 3, 2), (3, 6), (7, 3, 6)))
    x.requires_grad_()
    y0.requires_grad_()
    early, state = rnn(x[:3], RecurrentState(y0))
    late, _ = rnn(x[3:], state)
    output = torch.cat((early, late))
    return [output, *torch.autograd.grad((output * weights).sum(), [x, y0, *rnn.parameters()])]


@pytest.mark.parametrize("engine", EACH)
@pytest.mark.parametrize("substeps", [1, 2])
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("name", NAMES)
def test_engines_agree_with_autograd(name: str, hold: str, substeps: int, engine: str) -> None:
    rnn = layer(name, hold, substeps, engine)
    assert type(rnn.choice(torch.randn(7, 3, 2, dtype=DOUBLE)).adjoint).__name__ == "Operator"
    wanted = gradients(layer(name, hold, substeps, "autograd"))
    for got, expected in zip(gradients(rnn), wanted, strict=True):
        # sums of some hundred products; the reference's gradient of a matrix exponential has a few digits less
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("engine", EACH)
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_gives_the_same(name: str, engine: str) -> None:
    rnn, x = layer(name, "linear", 2, engine), torch.randn(5, 3, 2, dtype=DOUBLE)
    stream = rnn.stream(3)
    assert stream.engine == engine
    torch.testing.assert_close(torch.stack([stream(each) for each in x]), rnn(x)[0].detach(), rtol=0, atol=1e-14)


def test_a_tensor_of_steps_is_refused_with_a_reason() -> None:
    rnn = ODERNN(FIELDS["oscillator"](2, 6), LinearlyExactEuler(), dt=torch.rand(7) + 0.1)
    assert "`dt` that is a number" in rnn.choice(torch.randn(7, 3, 2)).reason
