"""Law: what `pointwise` promises is tried; a field that breaks it trains as under autograd, and `choice` says why."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from odernn import ADJOINTS, ODERNN, AffinePointwiseField, DiscreteAdjoint, VectorField
from odernn.fields.field import REMEMBERED
from solvers import RK4, Autograd, BackwardEuler, ImplicitMidpoint, Leapfrog, LeapfrogMidpoint, Solver

DOUBLE = torch.float64
# Sums over some tens of products, taken in another order.
ROUNDING = {"rtol": 1e-9, "atol": 1e-10}


class Own(AffinePointwiseField):
    """tanh of a part of the preactivation."""

    def __init__(self, part: Callable[[Tensor], Tensor] | None = None, n: int = 4) -> None:
        super().__init__(2, n)
        torch.manual_seed(2)
        self.V, self.W = nn.Linear(2, n, dtype=DOUBLE), nn.Parameter(0.4 * torch.randn(n, n, dtype=DOUBLE))
        self.part = part or torch.nn.Identity()

    def control(self, x: Tensor) -> Tensor:
        return self.V(x)

    def weight(self) -> Tensor:
        return self.W

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(self.part(p + u)) - y


BROKEN: dict[str, tuple[Callable[[], Callable[[Tensor], Tensor]], str]] = {
    "layer norm": (lambda: nn.LayerNorm(4, dtype=DOUBLE), "units"),
    "group norm": (lambda: lambda p: p / (1 + p.unflatten(-1, (2, 2)).norm(dim=-1).repeat_interleave(2, -1)), "units"),
    "softmax": (lambda: nn.Softmax(-1), "units"),
    "a neighbour": (lambda: lambda p: p + p.roll(1, -1), "units"),
    "the mean of the units": (lambda: lambda p: p - p.mean(-1, keepdim=True), "units"),
    "the last unit": (lambda: lambda p: p + p[..., -1:], "units"),
    "the mean of the batch": (lambda: lambda p: p - p.mean(-2, keepdim=True), "sequences"),
    "the mean of all": (lambda: lambda p: p - p.mean(), "sequences"),
    "noise": (lambda: lambda p: p + torch.randn_like(p), "random"),
    "a mask of the batch": (lambda: lambda p: p * torch.arange(3, dtype=DOUBLE)[:, None], "several times"),
}


def gradients(field: VectorField, adjoint: object, solver: Solver | None = None) -> list[Tensor]:
    torch.manual_seed(1)
    x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(1, 3, field.hidden_size, dtype=DOUBLE)
    rnn = ODERNN(field, solver or RK4(), dt=0.1, adjoint=adjoint)  # pyright: ignore[reportArgumentType]
    output, _ = rnn(x, y0)
    return [output, *torch.autograd.grad(output.square().sum(), list(field.parameters()))]


def agree(found: list[Tensor], wanted: list[Tensor]) -> None:
    for got, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, right, **ROUNDING)


@pytest.mark.parametrize("adjoint", ["auto", "discrete", "checkpointed"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_field_that_breaks_a_promise_trains_as_under_autograd(name: str, adjoint: str) -> None:
    part, reason = BROKEN[name]
    agree(gradients(Own(part()), adjoint), gradients(Own(part()), "autograd"))
    choice = ODERNN(Own(part()), RK4(), dt=0.1).choice(torch.randn(5, 3, 2, dtype=DOUBLE))
    assert choice.adjoint == Autograd()
    assert reason in choice.reason


@pytest.mark.parametrize("solver", [BackwardEuler(), ImplicitMidpoint()], ids=["euler", "midpoint"])
def test_an_implicit_method_does_not_take_units_that_mix_for_apart(solver: Solver) -> None:
    """Of layer normalisation the whole Jacobian; the same field without structure is the reference."""

    class Whole(VectorField):
        def __init__(self) -> None:
            super().__init__(2, 4)
            self.own = Own(nn.LayerNorm(4, dtype=DOUBLE))

        def control(self, x: Tensor) -> Tensor:
            return self.own.control(x)

        def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
            return self.own.pointwise(y, y @ self.own.W.T, u)

    agree(gradients(Own(nn.LayerNorm(4, dtype=DOUBLE)), "autograd", solver), gradients(Whole(), "autograd", solver))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_field_that_keeps_them_is_parallel_in_time(n: int) -> None:
    choice = ODERNN(Own(n=n), RK4(), dt=0.1).choice(torch.randn(5, 3, 2, dtype=DOUBLE))
    assert isinstance(choice.adjoint, DiscreteAdjoint)


def test_it_is_tried_once_and_again_where_the_field_has_changed() -> None:
    calls = []

    def part(p: Tensor) -> Tensor:
        calls.append(p.shape)
        return p

    rnn, x = ODERNN(Own(part), RK4(), dt=0.1), torch.randn(5, 3, 2, dtype=DOUBLE)
    rnn.choice(x)
    tried = len(calls)
    rnn.choice(x)
    rnn.choice(x[:, :1])
    assert len(calls) == tried > 0
    rnn.field.part = lambda p: p + p.roll(1, -1)
    assert rnn.choice(x).adjoint == Autograd()
    rnn.field.part = part
    assert isinstance(rnn.choice(x).adjoint, DiscreteAdjoint)
    rnn.eval()
    rnn.choice(x)
    assert len(calls) == 3 * tried


def test_copies_and_files_have_nothing_of_it() -> None:
    field = Own(nn.LayerNorm(4, dtype=DOUBLE))
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    ODERNN(field, RK4(), dt=0.1).choice(x)
    assert REMEMBERED in vars(field)
    for other in (copy.deepcopy(field), copy.copy(field), pickle.loads(pickle.dumps(field))):
        assert REMEMBERED not in vars(other)
        other.part = nn.Identity()
        assert isinstance(ODERNN(other, RK4(), dt=0.1).choice(x).adjoint, DiscreteAdjoint)


def test_trying_leaves_no_trace() -> None:
    counted = nn.BatchNorm1d(4, dtype=DOUBLE).eval()
    field, state = Own(counted), torch.get_rng_state()
    ODERNN(field, RK4(), dt=0.1).choice(torch.randn(5, 3, 2, dtype=DOUBLE, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), state)
    assert counted.num_batches_tracked == 0


class Split(Own):
    """Declares a partition, of another equation if it is asked to."""

    partitioned = True

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def weight(self) -> Tensor:
        zero = torch.zeros(2, 2, dtype=DOUBLE)
        return torch.cat((torch.cat((zero, self.W[:2, 2:]), 1), torch.cat((self.W[2:, :2], zero), 1)))

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p + u)

    def drift(self, t: object, p: Tensor, u: Tensor) -> Tensor:
        return self.factor * torch.tanh(p @ self.W[:2, 2:].T + u[..., :2])

    def kick(self, t: object, q: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(q @ self.W[2:, :2].T + u[..., 2:])


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_drift_and_kick_are_those_of_pointwise(factor: float) -> None:
    agree(gradients(Split(factor), "auto", Leapfrog()), gradients(Split(factor), "autograd", Leapfrog()))
    choice = ODERNN(Split(factor), Leapfrog(), dt=0.1).choice(torch.randn(5, 3, 2, dtype=DOUBLE))
    assert isinstance(choice.adjoint, DiscreteAdjoint if factor == 1 else Autograd)


class Normalised(VectorField):
    """Layer normalisation inside the recurrence, as a plain field."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        torch.manual_seed(2)
        self.V, self.W = nn.Linear(2, 4, dtype=DOUBLE), nn.Linear(4, 4, bias=False, dtype=DOUBLE)
        self.norm = nn.LayerNorm(4, dtype=DOUBLE)

    def control(self, x: Tensor) -> Tensor:
        return self.V(x)

    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.W(y) + u)) - y


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_layer_normalisation_in_a_plain_field_under_every_adjoint(adjoint: str) -> None:
    solver = LeapfrogMidpoint() if adjoint == "reversible" else RK4()
    found, wanted = (gradients(Normalised(), name, solver) for name in (adjoint, "autograd"))
    if adjoint == "continuous":  # up to the discretisation error
        for got, right in zip(found, wanted, strict=True):
            torch.testing.assert_close(got, right, rtol=1e-2, atol=1e-3)
    else:
        agree(found, wanted)
