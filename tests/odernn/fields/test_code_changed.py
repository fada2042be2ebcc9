"""Law: what was tried or compiled of a field counts as long as the code of its classes is what it was."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AffinePointwiseField, LEMField
from odernn.engines.traced.facts import facts_of, same_facts
from odernn.engines.traced.of_field import trace_of
from odernn.engines.traced.trace import Trace

DOUBLE = torch.float64


class _Base(AffinePointwiseField):
    def __init__(self) -> None:
        super().__init__(2, 4)
        torch.manual_seed(0)
        self.matrix = nn.Parameter(0.3 * torch.randn(4, 4, dtype=DOUBLE))
        self.input = nn.Parameter(torch.randn(4, 2, dtype=DOUBLE))
        self.activation = nn.Tanh()

    def control(self, x: Tensor) -> Tensor:
        return x @ self.input.T

    def weight(self) -> Tensor:
        return self.matrix

    def squashed(self, x: Tensor) -> Tensor:
        return self.activation(x)

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self.squashed(p + u) - y


class _Centred(nn.Tanh):
    def forward(self, input: Tensor) -> Tensor:
        return input - input.mean(-1, keepdim=True)


class _Own(_Base):
    """Nothing of it stands in the class itself."""


def _sine(self: _Base, x: Tensor) -> Tensor:
    return torch.sin(x)


def _mixing(self: _Base, x: Tensor) -> Tensor:
    """Units see each other, so that it is not elementwise."""
    return torch.sin(x) + x.mean(-1, keepdim=True)


class _Sine(_Own):
    squashed = _sine


class _Mixing(_Own):
    squashed = _mixing


Patch = pytest.MonkeyPatch
CHANGES: dict[str, Callable[[_Own, Patch], object]] = {
    "class": lambda field, patch: setattr(field, "__class__", _Sine),
    "class, units that see each other": lambda field, patch: setattr(field, "__class__", _Mixing),
    "base": lambda field, patch: patch.setattr(_Base, "squashed", _sine),
    "base, units that see each other": lambda field, patch: patch.setattr(_Base, "squashed", _mixing),
    "pointwise of the base": lambda field, patch: patch.setattr(_Base, "pointwise", lambda self, y, p, u: p - u),
    "class of a part": lambda field, patch: setattr(field.activation, "__class__", nn.Sigmoid),
    "class of a part, units that see each other": lambda field, patch: setattr(field.activation, "__class__", _Centred),
}


def _gradients(rnn: ODERNN) -> list[Tensor]:
    torch.manual_seed(1)
    x = torch.randn(5, 3, rnn.field.input_size, dtype=DOUBLE, requires_grad=True)
    output, _ = rnn(x)
    found = torch.autograd.grad(output.sin().sum(), [x, *rnn.parameters()], allow_unused=True)
    return [output, *(each for each in found if each is not None)]


def _check(rnn: ODERNN) -> None:
    """The numbers are autograd's, but for the rounding of sums of less than a hundred numbers in float64."""
    by_autograd = ODERNN(rnn.field, rnn.solver, dt=rnn.dt, adjoint="autograd")
    torch.testing.assert_close(_gradients(rnn), _gradients(by_autograd), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("change", CHANGES)
def test_a_field_that_was_tried(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rnn = ODERNN(_Own(), "rk4", dt=0.1)
    before = _gradients(rnn)[0]
    CHANGES[change](rnn.field, monkeypatch)  # pyright: ignore[reportArgumentType]
    _check(rnn)
    assert not torch.equal(_gradients(rnn)[0], before)


@pytest.mark.parametrize("change", CHANGES)
def test_a_field_that_was_traced(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that were compiled of it are forgotten by the same facts."""
    field = _Own()
    facts, found = facts_of(field), trace_of(field)
    assert isinstance(found, Trace)
    assert same_facts(facts, facts_of(field))
    assert trace_of(field) is found
    CHANGES[change](field, monkeypatch)
    assert not same_facts(facts, facts_of(field))
    assert trace_of(field) is not found


@pytest.mark.parametrize("name", ["drift", "kick", "pointwise", "weight"])
@pytest.mark.parametrize("how", ["class", "patch"])
def test_halves_that_were_tried(name: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """LEM's halves are those of `pointwise`, which the parallel form of the semi-implicit Euler method asks for."""
    own = getattr(LEMField, name)

    def larger(self: LEMField, *given: object) -> Tensor:
        return 1.1 * own(self, *given)

    rnn = ODERNN(LEMField(2, 4, dtype=DOUBLE), "symplectic-euler", dt=0.1)
    _gradients(rnn)
    if how == "class":
        rnn.field.__class__ = type("Changed", (LEMField,), {name: larger})
    else:
        monkeypatch.setattr(LEMField, name, larger)
    _check(rnn)
