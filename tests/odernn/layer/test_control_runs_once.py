"""Law: a field's own control runs once in a call of the layer, for all times, whatever comes after it."""

import pytest
import torch
from torch import Tensor, nn

from odernn import (
    ADJOINTS,
    ODERNN,
    AffinePointwiseField,
    AntisymmetricField,
    DiscreteAdjoint,
    NoisyField,
    VectorField,
)
from solvers import (
    RK4,
    Adjoint,
    Checkpointed,
    Continuous,
    EulerMaruyama,
    ImplicitMidpoint,
    LeapfrogMidpoint,
    Reversible,
    Solver,
    TorchdiffeqSolver,
)
from tests.pairs import crossed

DOUBLE = torch.float64
# The same operations in another order.
ROUNDING = {"rtol": 1e-10, "atol": 1e-11}


class Counted(VectorField):
    """Counts the samples that its control sees, and looks along time and over the batch."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.V, self.W = nn.Linear(2, 4, dtype=DOUBLE), nn.Parameter(0.3 * torch.randn(4, 4, dtype=DOUBLE))
        self.seen: list[tuple[int, ...]] = []

    def control(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        u = self.V(x - x.mean(dim=-2, keepdim=True))
        return u + torch.cat((torch.zeros_like(u[:1]), u[:-1])) if u.ndim == 3 else u

    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(y @ self.W.T + u)


class CountedOwn(AffinePointwiseField):
    def __init__(self) -> None:
        super().__init__(2, 4)
        self.inner = Counted()

    @property
    def seen(self) -> list[tuple[int, ...]]:
        return self.inner.seen

    def control(self, x: Tensor) -> Tensor:
        return self.inner.control(x)

    def weight(self) -> Tensor:
        return self.inner.W

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p + u)


class CountedRegistered(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def __init__(self) -> None:
        super().__init__(2, 4, dtype=DOUBLE)
        self.seen: list[tuple[int, ...]] = []
        self.inner = Counted()

    def control(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        return self.inner.control(x)


FIELDS = {cls.__name__: cls for cls in (Counted, CountedOwn, CountedRegistered)}
# In parts of two intervals, so that a short sequence has several.
IN_PARTS: dict[str, Adjoint | str] = {
    "discrete": DiscreteAdjoint(chunk=2),
    "checkpointed": Checkpointed(every=2),
    "reversible": Reversible(chunk=2),
    "continuous": Continuous(TorchdiffeqSolver("rk4"), chunk=2),
}
LONG = 7


def layer(field: VectorField, adjoint: str, hold: str, solver: Solver | None = None) -> ODERNN:
    suited = LeapfrogMidpoint() if adjoint == "reversible" else RK4()
    in_parts = IN_PARTS.get(adjoint, adjoint)
    return ODERNN(field, solver or suited, dt=0.1, hold=hold, adjoint=in_parts, substeps=2)


@crossed(
    {"cls": list(FIELDS), "adjoint": list(ADJOINTS), "hold": ["zero-order", "linear"], "with_gradient": [True, False]}
)
def test_it_runs_once_forward_and_not_at_all_backward(cls: str, adjoint: str, hold: str, with_gradient: bool) -> None:
    field = FIELDS[cls]()
    rnn = layer(field, adjoint, hold)
    with torch.set_grad_enabled(with_gradient):
        output, _ = rnn(torch.randn(LONG, 3, 2, dtype=DOUBLE))
    assert field.seen == [(LONG, 3, 2)]
    if with_gradient:
        output.sum().backward()
        assert field.seen == [(LONG, 3, 2)]


@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("cls", FIELDS.values())
def test_a_step_and_a_stream_run_it_once(cls: type[Counted], hold: str) -> None:
    field = cls()
    rnn = layer(field, "auto", hold)
    rnn.step(torch.randn(3, 2, dtype=DOUBLE))
    assert field.seen == [(1, 3, 2)]
    stream = rnn.stream(3)
    stream(torch.randn(3, 2, dtype=DOUBLE))
    assert field.seen == [(1, 3, 2)]


@pytest.mark.parametrize("solver", [ImplicitMidpoint(), EulerMaruyama()], ids=["implicit", "stochastic"])
def test_other_families(solver: Solver) -> None:
    field = Counted()
    noisy = NoisyField(field, additive=0.1) if isinstance(solver, EulerMaruyama) else field
    layer(noisy, "autograd", "zero-order", solver)(torch.randn(5, 3, 2, dtype=DOUBLE))
    assert field.seen == [(5, 3, 2)]


def after(module: nn.Module, args: object, output: Tensor) -> Tensor:
    return module.get_submodule("after")(output)


def test_asking_for_the_choice_leaves_no_trace() -> None:
    """Neither in the statistics nor in the random numbers."""
    field, counted = Counted(), nn.BatchNorm1d(3, dtype=DOUBLE)
    field.V.register_module("after", nn.Sequential(nn.Dropout(), counted))
    field.V.register_forward_hook(after)
    x, state = torch.randn(5, 3, 2, dtype=DOUBLE), torch.get_rng_state()
    layer(field, "auto", "zero-order").choice(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert counted.num_batches_tracked == 0


@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("adjoint", [name for name in ADJOINTS if name != "continuous"])
@pytest.mark.parametrize("cls", FIELDS.values())
def test_a_control_that_looks_along_time_is_the_same_under_every_adjoint(
    cls: type[Counted], adjoint: str, hold: str
) -> None:
    def found(name: str) -> list[Tensor]:
        torch.manual_seed(0)
        rnn = layer(cls(), name, hold, LeapfrogMidpoint())
        x = torch.randn(LONG, 3, 2, dtype=DOUBLE, requires_grad=True)
        output, _ = rnn(x)
        leaves = [x, *rnn.parameters()]
        return [output, *torch.autograd.grad(output.square().mean(), leaves, allow_unused=True, materialize_grads=True)]

    for got, wanted in zip(found(adjoint), found("autograd"), strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING)
