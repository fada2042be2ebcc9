"""Law: what a field's functions return is looked at, wherever it is evaluated, and a wrong one names the field."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AffinePointwiseField, NoisyField, VectorField
from solvers import RK4, Euler, EulerMaruyama, integrate
from solvers.extend import Time

X = torch.randn(5, 8, 3)
WRONG = {
    "batch": lambda y: y.mean(-1),  # as many units as sequences: it would broadcast
    "hidden": lambda y: y.mean(0),
    "column": lambda y: y.mean(-1, keepdim=True),
    "row": lambda y: y.mean(0, keepdim=True),
    "double": lambda y: y.double(),
    "none": lambda y: None,
    "number": lambda y: 0.0,
}
ADJOINTS = ("auto", "autograd", "discrete", "checkpointed", "continuous")


class Plain(VectorField):
    def __init__(self, rate: Callable[[Any, Tensor], Tensor], control: Callable[[Tensor], Tensor] | None = None):
        super().__init__(3, 8)
        self.map, self.rate, self.change = nn.Linear(3, 8), rate, control

    def control(self, x: Tensor) -> Tensor:
        u = self.map(x)
        return u if self.change is None else self.change(u)

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return self.rate(t, y + u)


class Pointwise(AffinePointwiseField):
    def __init__(self, rate: Callable[[Tensor], Tensor], weight: object = None) -> None:
        super().__init__(3, 8)
        self.map, self.rate = nn.Linear(3, 8), rate
        self.matrix = nn.Parameter(0.1 * torch.randn(8, 8))
        self.given = weight

    def control(self, x: Tensor) -> Tensor:
        return self.map(x)

    def weight(self) -> Tensor:
        return self.matrix if self.given is None else self.given  # pyright: ignore[reportReturnType]

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self.rate(p + u)


def calls(rnn: ODERNN) -> list[Callable[[], object]]:
    return [lambda: rnn(X), lambda: rnn.step(X[0]), lambda: rnn.stream(8)(X[0])]


@pytest.mark.parametrize("adjoint", ADJOINTS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_slope_names_the_field(wrong: str, adjoint: str) -> None:
    change = WRONG[wrong]
    for field, name in ((Plain(lambda t, y: change(y)), "Plain.forward"), (Pointwise(change), "Pointwise.pointwise")):
        for call in calls(ODERNN(field, RK4(), dt=0.1, adjoint=adjoint)):
            with pytest.raises((TypeError, ValueError), match=f"`{name}` returned"):
                call()


@pytest.mark.parametrize(
    "weight", [3.0, torch.zeros(8), torch.zeros(9, 8), torch.zeros(8, 7), torch.zeros(8, 8, dtype=torch.float64)]
)
def test_a_wrong_weight_names_the_field(weight: object) -> None:
    rnn = ODERNN(Pointwise(torch.tanh, weight), Euler(), dt=0.1)
    for call in calls(rnn)[:2]:
        with pytest.raises((TypeError, ValueError), match=r"`Pointwise\.weight` returned"):
            call()


@pytest.mark.parametrize("change", [lambda u: None, lambda u: u.sum(0), lambda u: u[..., 0]])
def test_a_wrong_control_names_the_field(change: Callable[[Tensor], Tensor]) -> None:
    rnn = ODERNN(Plain(lambda t, y: torch.tanh(y), change), Euler(), dt=0.1)
    for call in calls(rnn):
        with pytest.raises((TypeError, ValueError), match=r"`Plain\.control` returned"):
            call()


@pytest.mark.parametrize("dt", [0.1, torch.tensor(0.1), torch.full((5,), 0.1), torch.full((8, 5), 0.1)])
def test_time_is_a_tensor_however_the_step_is_given(dt: float | Tensor) -> None:
    seen = []

    def rate(t: Tensor, y: Tensor) -> Tensor:
        seen.append(t)
        return torch.sin(t) * torch.tanh(y)

    rnn = ODERNN(Plain(rate), RK4(), dt=dt)
    output, _ = rnn(X)
    assert all(isinstance(t, Tensor) for t in seen)
    wanted = ODERNN(Plain(lambda t, y: math.sin(float(t.flatten()[0])) * torch.tanh(y)), RK4(), dt=0.1)
    wanted.load_state_dict(rnn.state_dict(), strict=False)
    assert output is not None
    torch.testing.assert_close(output, wanted(X)[0])


def test_time_is_a_tensor_in_a_noisy_fields_equation() -> None:
    field = NoisyField(Plain(lambda t, y: torch.sin(t) * torch.tanh(y)), additive=0.1)
    assert integrate(field.equation(X[0]), torch.zeros(8, 8), t1=0.3, dt=0.1, solver=EulerMaruyama()).y.shape[0] == 4
