"""The continuous adjoint: its gradient tends to autograd's at the solver's order; what it cannot do it refuses."""

from collections.abc import Callable
from math import log2

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations, parametrize

from odernn import ODERNN, GatedAntisymmetricField, HamiltonianField, NoisyField, VectorField
from solvers import (
    RK4,
    RK38,
    Adjoint,
    Autograd,
    Continuous,
    Euler,
    EulerMaruyama,
    Heun,
    Leapfrog,
    LeapfrogMidpoint,
    Midpoint,
    ReversibleHeun,
    Solver,
    TorchdiffeqSolver,
    integrate,
)
from solvers.extend import Time

DOUBLE = torch.float64


def gradients(field: VectorField, solver: Solver, substeps: int, adjoint: Adjoint) -> Tensor:
    """The gradient of losses along the trajectory with respect to x, y0, dt and the parameters, as one vector."""
    generator = torch.Generator().manual_seed(3)
    x, y0 = (
        torch.randn(*shape, dtype=DOUBLE, generator=generator).requires_grad_() for shape in ((2, 3, 2), (1, 3, 4))
    )
    dt = (0.3 + 0.2 * torch.rand(3, 2, dtype=DOUBLE, generator=generator)).requires_grad_()
    rnn = ODERNN(field, solver, dt=0.4, substeps=substeps, hold="linear", adjoint=adjoint)
    output, y_n = rnn(x, y0, dt=dt)
    loss = output.square().sum() + output[1].sin().sum() + y_n.cos().sum()
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, (x, y0, dt, *field.parameters()))])


def difference(field: VectorField, solver: Solver, substeps: int, backward: TorchdiffeqSolver | None = None) -> float:
    exact = gradients(field, solver, substeps, Autograd())
    return float(torch.linalg.vector_norm(gradients(field, solver, substeps, Continuous(backward)) - exact))


@pytest.mark.parametrize(
    ("solver", "order", "substeps"),
    [
        (Euler(), 1, 8),
        (Midpoint(), 2, 4),
        (Heun(), 2, 4),
        (RK4(), 4, 3),
        (RK38(), 4, 3),
        (Leapfrog(), 2, 4),
        (LeapfrogMidpoint(), 2, 8),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Solver) else None,
)
def test_the_gradient_tends_to_that_of_the_steps_at_the_order(solver: Solver, order: int, substeps: int) -> None:
    """The order or better: the two gradients share a part of their error."""
    field = (HamiltonianField if isinstance(solver, Leapfrog) else GatedAntisymmetricField)(2, 4, dtype=DOUBLE)
    coarse, fine = difference(field, solver, substeps), difference(field, solver, 2 * substeps)
    assert coarse > 1e-8  # there is a difference
    assert log2(coarse / fine) > order - 0.2


@pytest.mark.parametrize("solver", [TorchdiffeqSolver(rtol=1e-9, atol=1e-9), RK4()], ids=["dopri5", "rk4"])
def test_fine_steps_give_the_gradient_of_autograd(solver: Solver) -> None:
    field = GatedAntisymmetricField(2, 4, damping=0.2, dtype=DOUBLE)
    exact = gradients(field, solver, 20 if isinstance(solver, RK4) else 1, Autograd())
    ours = gradients(field, solver, 20 if isinstance(solver, RK4) else 1, Continuous(TorchdiffeqSolver()))
    torch.testing.assert_close(ours, exact, rtol=1e-5, atol=1e-6)  # the tolerance of dopri5, and 20 steps of order 4


@pytest.mark.parametrize("solver", [RK4(), LeapfrogMidpoint(), TorchdiffeqSolver("rk4")])
@pytest.mark.parametrize("save", ["trajectory", "end"])
def test_the_states_are_those_of_the_solver_to_the_bit(solver: Solver, save: str) -> None:
    field, x = GatedAntisymmetricField(2, 4, dtype=DOUBLE), torch.randn(4, 3, 2, dtype=DOUBLE)
    results = [
        ODERNN(field, solver, dt=0.3, substeps=2, adjoint=each)(x, save=save) for each in (Autograd(), Continuous())
    ]
    for ours, theirs in zip(*results, strict=True):
        assert (ours is None and theirs is None) or torch.equal(ours, theirs)


def test_any_closure_and_a_fixed_start() -> None:
    """A plain function, its tensors leaves or made of leaves, one of both in two places; no gradient to y0."""
    leaf = torch.randn(3, 3, dtype=DOUBLE, requires_grad=True)
    made = leaf - leaf.T  # f reads both: the way through `made` must count once
    parts = {"rate": torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)}

    def f(t: Time, y: Tensor) -> Tensor:
        stacked = torch.stack([torch.tanh(y @ made.T), y @ leaf[0:1].T.expand(3, 3)])
        return stacked.sum(0) - parts["rate"] * y

    results = []
    for adjoint in (Autograd(), Continuous()):
        y = integrate(f, torch.ones(2, 3, dtype=DOUBLE), t1=1.0, dt=0.02, solver=RK38(), adjoint=adjoint, save="end").y
        results.append(torch.autograd.grad(y.square().sum(), (leaf, parts["rate"])))
    for exact, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, exact, rtol=0, atol=1e-5)  # 50 steps of order 4


class Clocked(VectorField):
    """Driven by time."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.rate = torch.nn.Parameter(torch.tensor([1.0, -0.5]))

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(u + torch.sin(2 * torch.as_tensor(t) + y * self.rate))


def test_times_keep_their_digits_and_get_their_gradient_in_single_precision() -> None:
    """Times are in float64, and torchdiffeq puts all gradients into one tensor in the dtype of the state."""
    field, x = Clocked(), torch.randn(4, 3, 2)
    dt = (0.1 + 0.1 * torch.rand(3, 4)).requires_grad_()
    results = []
    for adjoint in (Continuous(), Autograd()):
        loss = ODERNN(field, RK38(), dt=0.2, substeps=4, adjoint=adjoint)(x, dt=dt)[0].square().sum()
        results.append(torch.autograd.grad(loss, (dt, field.rate)))
    for ours, exact in zip(*results, strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-5)  # rounding, and steps of 0.05 of order 4


def test_retain_graph_and_no_grad() -> None:
    field, x = GatedAntisymmetricField(2, 4, dtype=DOUBLE), torch.randn(3, 2, 2, dtype=DOUBLE)
    rnn = ODERNN(field, Heun(), dt=0.3, adjoint=Continuous())
    output, _ = rnn(x)
    first = torch.autograd.grad(output.sum(), field.recurrent.upper, retain_graph=True)[0]
    again = torch.autograd.grad(output.sum(), field.recurrent.upper)[0]
    assert torch.equal(first, again)
    with torch.no_grad():
        silent, _ = rnn(x)
    assert not silent.requires_grad
    assert torch.equal(silent, output)


def test_memory_is_the_trajectory_not_the_stages() -> None:
    def kept(adjoint: Adjoint, substeps: int) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        field = GatedAntisymmetricField(2, 16, dtype=DOUBLE)
        x = torch.randn(10, 8, 2, dtype=DOUBLE)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = ODERNN(field, RK38(), dt=0.1, substeps=substeps, adjoint=adjoint)(x)[0]
        assert output.requires_grad
        return sum(sizes.values())

    assert kept(Continuous(), 8) == kept(Continuous(), 1)
    assert kept(Autograd(), 8) > 4 * kept(Autograd(), 1)


class Hidden(torch.autograd.Function):
    """Reads its argument out of sight."""

    @staticmethod
    def forward(ctx: object, y: Tensor, weight: Tensor) -> Tensor:
        return y.clone()

    @staticmethod
    def backward(ctx: object, *gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient[0], gradient[0].sum()


def test_a_tensor_out_of_sight_is_refused() -> None:
    weight = torch.ones((), dtype=DOUBLE, requires_grad=True)

    def f(t: Time, y: Tensor) -> Tensor:
        return 2 * Hidden.apply(y, weight)

    with pytest.raises(ValueError, match="out of sight"):
        integrate(f, torch.ones(2, dtype=DOUBLE), t1=1.0, dt=0.5, solver=Euler(), adjoint=Continuous())


class Parametrised(VectorField):
    """A weight that torch builds anew wherever its cache has ended."""

    def __init__(self) -> None:
        super().__init__(2, 3)
        self.map = parametrizations.orthogonal(torch.nn.Linear(3, 3, bias=False, dtype=DOUBLE))

    def control(self, x: Tensor) -> Tensor:
        return x[..., :1]

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(self.map(y) + u)


@pytest.mark.parametrize("adjoint", ["discrete", "checkpointed"])
def test_a_parametrised_weight_gets_its_gradient(adjoint: str) -> None:
    """The layer builds it anew in every evaluation under these adjoints, which make steps again after the call."""
    field, x = Parametrised(), torch.randn(3, 2, 2, dtype=DOUBLE)
    found = [
        torch.autograd.grad(ODERNN(field, Euler(), dt=0.1, adjoint=each)(x)[0].sum(), list(field.parameters()))
        for each in (adjoint, "autograd")
    ]
    for got, wanted in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("adjoint", ["reversible", "continuous"])
@pytest.mark.parametrize("backward_inside", [True, False])
def test_a_parametrised_weight_that_is_cached_gets_its_gradient(adjoint: str, backward_inside: bool) -> None:
    """The forward pass keeps no tape, and must not be the one that builds the weight for all who come later."""
    field, x = Parametrised(), torch.randn(3, 2, 2, dtype=DOUBLE)
    parameters = list(field.parameters())
    results = []
    for chosen in (adjoint, "autograd"):
        with parametrize.cached():
            loss = ODERNN(field, ReversibleHeun(), dt=0.001, adjoint=chosen)(x)[0].square().sum()
            if backward_inside:
                results.append(torch.autograd.grad(loss, parameters))
        if not backward_inside:
            results.append(torch.autograd.grad(loss, parameters))
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-12)  # of dopri5 against a step of order 2


def test_a_second_derivative_is_refused() -> None:
    y0 = torch.ones(2, dtype=DOUBLE, requires_grad=True)
    y = integrate(lambda t, y: y.sin(), y0, t1=1.0, dt=0.5, solver=Euler(), adjoint=Continuous(), save="end").y
    with pytest.raises(NotImplementedError, match="no second derivative"):
        torch.autograd.grad(y.sum(), y0, create_graph=True)


def test_noise_is_refused() -> None:
    field = NoisyField(GatedAntisymmetricField(2, 3), additive=0.1)
    with pytest.raises(ValueError, match="knows no noise"):
        ODERNN(field, EulerMaruyama(), dt=0.1, adjoint=Continuous())(torch.randn(3, 2, 2))


def test_a_backward_equation_that_is_lost_is_an_error_of_its_own() -> None:
    """Euler steps over the end of y' = y^2 at t = 1, and its gradient's equation does not."""
    y0 = torch.ones(1, dtype=DOUBLE, requires_grad=True)
    adjoint = Continuous(TorchdiffeqSolver(rtol=1e-3))
    y = integrate(lambda t, y: y * y, y0, t1=1.5, dt=1.5, solver=Euler(), adjoint=adjoint).y
    with pytest.raises(ArithmeticError, match="step-size control"):
        y.sum().backward()


def test_bad_argument() -> None:
    make: Callable[..., object] = Continuous
    with pytest.raises(TypeError, match="`backward` is str"):
        make("dopri5")
