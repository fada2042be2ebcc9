"""Law: every adjoint gives the gradients of autograd, over every field and every solver that it accepts."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import (
    ADJOINTS,
    FIELDS,
    ODERNN,
    Auto,
    DiscreteAdjoint,
    NoisyField,
    PartitionedField,
    RecurrentState,
    SemilinearField,
    VectorField,
)
from odernn.fields.field import is_damped_partitioned
from solvers import (
    RK4,
    SOLVERS,
    Adjoint,
    Autograd,
    Checkpointed,
    Continuous,
    Euler,
    Need,
    ReconstructionError,
    Reversible,
    ReversibleSolver,
    TorchdiffeqSolver,
    make_solver,
)
from tests.fields import unregistered
from tests.pairs import crossed
from tests.problems import REPRESENTATIVES

DOUBLE = torch.float64
# Chunks of two intervals, so that a short sequence has several.
EXACT: dict[str, Adjoint] = {
    "discrete": DiscreteAdjoint(chunk=2),
    "checkpointed": Checkpointed(),
    "every-3": Checkpointed(every=3),
    "every-2-every-1": Checkpointed(every=2, within=Checkpointed(every=1)),
    "every-3-discrete": Checkpointed(every=3, within=DiscreteAdjoint(chunk=2)),
    "reversible": Reversible(chunk=2),
    "auto": Auto(),
}
NEEDED = {
    None: VectorField,
    Need.PARTITION: PartitionedField,
    Need.LINEAR_PART: SemilinearField,
    Need.DIFFUSION: NoisyField,
}
DTYPES = [torch.float64, torch.float32]
# Sums over a few hundred products of numbers of size up to ten, taken in another order.
ROUNDING: dict[torch.dtype, dict[str, Any]] = {
    torch.float64: {"rtol": 1e-10, "atol": 1e-10},
    torch.float32: {"rtol": 1e-4, "atol": 1e-4},
}
WHOLE = ("discrete", "checkpointed", "reversible")  # the others of EXACT are made of these
# Of the continuous adjoint, where its default, the solver's own method or dopri5, would be slower than need be.
BACKWARD = {1: TorchdiffeqSolver("rk4"), 2: TorchdiffeqSolver("rk4", steps=3)}


def suited(field: str, solver: str) -> VectorField:
    """The field as the solver takes it, with noise of both kinds for a stochastic one; no operator knows it.

    So the adjoints of solvers run themselves: the registered operators have a cross test of their own (test_engine).
    """
    rhs = FIELDS[field](2, 4, dtype=DOUBLE)  # pyright: ignore[reportCallIssue]
    noisy = SOLVERS[solver].needs is Need.DIFFUSION
    return unregistered(NoisyField(rhs, additive=0.1, multiplicative=0.2) if noisy else rhs)


@cache
def fits(field: str, solver: str) -> bool:
    made, needs = suited(field, solver), SOLVERS[solver].needs
    if needs is Need.PARTITION and is_damped_partitioned(made) and not SOLVERS[solver].takes_own_half:
        return False
    return isinstance(made, NEEDED[needs])


@cache
def undone(field: str, solver: str) -> bool:
    """Whether the reversible adjoint can step back: not where a kick sees its own half."""
    return SOLVERS[solver].needs is not Need.PARTITION or not is_damped_partitioned(suited(field, solver))


def accepted(adjoint: str, solver: str) -> bool:
    if adjoint == "reversible":
        return issubclass(SOLVERS[solver], ReversibleSolver)
    return adjoint != "continuous" or SOLVERS[solver].needs is not Need.DIFFUSION


def gradients(
    rnn: ODERNN, *, save: str = "trajectory", hold_y0: bool = True, dtype: torch.dtype = DOUBLE, pace: float = 1.0
) -> list[Tensor]:
    """The end state, and the gradients by input, start, steps and parameters, of losses along the whole trajectory."""
    torch.manual_seed(1)
    x, y0, of_end, of_second = (
        torch.randn(*shape, dtype=DOUBLE).to(dtype) for shape in ((3, 3, 2), (1, 3, 4), (1, 3, 4), (3, 4))
    )
    dt = (pace * (0.2 + 0.1 * torch.rand(3, 3, dtype=DOUBLE))).to(dtype).requires_grad_()
    x.requires_grad_()
    y0.requires_grad_(hold_y0)
    output, y_n = rnn(x, y0, dt=dt, save=save)
    loss = (y_n * of_end).sum()
    if output is not None:
        loss = loss + (output[1] * of_second).sum() + output[1:].square().sum()
    sources = [x, *([y0] if hold_y0 else []), dt, *rnn.field.parameters()]
    return [y_n, *torch.autograd.grad(loss, sources)]


def layer(field: str, solver: str, adjoint: Adjoint | str, dtype: torch.dtype = DOUBLE, *, substeps: int = 2) -> ODERNN:
    """The same network in every dtype, but for rounding."""
    torch.manual_seed(0)
    rhs = suited(field, solver).to(dtype)
    facts: dict[str, Any] = {"dt": 0.3, "substeps": substeps, "hold": "linear", "engine": "torch"}
    return ODERNN(rhs, make_solver(solver), adjoint=adjoint, **facts)


@cache
def reference(field: str, solver: str, dtype: torch.dtype = DOUBLE) -> list[Tensor]:
    """What autograd gives."""
    return gradients(layer(field, solver, "autograd", dtype), dtype=dtype)


def agree(one: Sequence[Tensor], other: Sequence[Tensor]) -> None:
    for got, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING[wanted.dtype])


@crossed(
    {"field": list(FIELDS), "solver": REPRESENTATIVES, "adjoint": WHOLE, "dtype": DTYPES},
    where=lambda field, solver, adjoint, dtype: (
        fits(field, solver) and accepted(adjoint, solver) and (adjoint != "reversible" or undone(field, solver))
    ),
    once={"field": list(FIELDS)},
    full={"solver": list(SOLVERS)},
)
def test_agrees_with_autograd(field: str, solver: str, adjoint: str, dtype: torch.dtype) -> None:
    agree(gradients(layer(field, solver, EXACT[adjoint], dtype), dtype=dtype), reference(field, solver, dtype))


def off_by(field: str, solver: str, dtype: torch.dtype, substeps: int) -> float:
    """How far the continuous adjoint's gradient is from autograd's, relatively, on small steps."""
    ours, exact = (
        torch.cat(
            [
                each.detach().flatten()
                for each in gradients(layer(field, solver, adjoint, dtype, substeps=substeps), dtype=dtype, pace=0.2)
            ]
        )
        for adjoint in (Continuous(BACKWARD.get(make_solver(solver).order), chunk=2), "autograd")
    )
    return float(torch.linalg.vector_norm(ours - exact) / torch.linalg.vector_norm(exact))


@crossed(
    {"field": list(FIELDS), "solver": REPRESENTATIVES},
    strength=1,
    where=lambda field, solver: fits(field, solver) and accepted("continuous", solver),
    full={"solver": list(SOLVERS)},
)
def test_the_continuous_gradient_is_off_by_the_discretisation_error(field: str, solver: str) -> None:
    """It falls at the order of the solver, down to what the adjoint equation's own solver leaves."""
    coarse, fine = (off_by(field, solver, DOUBLE, substeps) for substeps in (2, 4))
    order = 2 if solver == "adams-bashforth3" else make_solver(solver).order  # across the kinks of the control
    # Three quarters of an order for terms of higher order; dopri5 tolerates 1e-7 a step, forward and backward.
    assert fine < max(coarse * 2 ** (0.75 - order), 5e-6)
    # In single precision the same problem, and rounding.
    assert off_by(field, solver, torch.float32, 2) == pytest.approx(coarse, rel=0.01, abs=2e-5)


@crossed(
    {
        "adjoint": list(EXACT),
        "save": ["trajectory", "end"],
        "needs_start": [True, False],
        "solver": ["leapfrog-midpoint", "leapfrog"],
    }
)
def test_end_alone_and_a_start_without_gradient(adjoint: str, save: str, needs_start: bool, solver: str) -> None:
    found = gradients(layer("hamiltonian", solver, EXACT[adjoint]), save=save, hold_y0=needs_start)
    agree(found, gradients(layer("hamiltonian", solver, "autograd"), save=save, hold_y0=needs_start))


@pytest.mark.parametrize("adjoint", EXACT)
def test_zero_order_hold_and_a_number_for_the_step(adjoint: str) -> None:
    def found(chosen: Adjoint) -> list[Tensor]:
        rnn = layer("hamiltonian", "leapfrog", chosen).with_solver(make_solver("leapfrog"), hold="zero-order")
        x = torch.randn(7, 3, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
        output, _ = rnn(x)
        return list(torch.autograd.grad(output.square().sum(), list(rnn.parameters())))

    agree(found(EXACT[adjoint]), found(Autograd()))


@pytest.mark.parametrize("adjoint", EXACT)
def test_stacked_layers(adjoint: str) -> None:
    def found(chosen: Adjoint) -> list[Tensor]:
        torch.manual_seed(0)
        below = ODERNN(
            FIELDS["antisymmetric"](2, 4, dtype=DOUBLE), make_solver("leapfrog-midpoint"), dt=0.3, adjoint=chosen
        )
        above = ODERNN(FIELDS["hamiltonian"](4, 6, dtype=DOUBLE), make_solver("leapfrog"), dt=0.3, adjoint=chosen)
        output, _ = above(below(torch.randn(7, 3, 2, dtype=DOUBLE))[0])
        return list(torch.autograd.grad(output.square().sum(), [*below.parameters(), *above.parameters()]))

    agree(found(EXACT[adjoint]), found(Autograd()))


@pytest.mark.parametrize("adjoint", EXACT)
def test_chunks_with_their_state_handed_on(adjoint: str) -> None:
    """Backpropagation through two calls, the solver's carry between them."""

    def found(chosen: Adjoint) -> list[Tensor]:
        rnn = layer("antisymmetric", "leapfrog-midpoint", chosen)
        x = torch.randn(8, 3, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(2)).requires_grad_()
        state: RecurrentState = rnn.initial_state(3)
        total = torch.zeros((), dtype=DOUBLE)
        for start, stop in ((0, 1), (1, 5), (5, 8)):
            output, state = rnn(x[start:stop], state)
            total = total + output.square().sum()
        return list(torch.autograd.grad(total, [x, *rnn.parameters()]))

    agree(found(EXACT[adjoint]), found(Autograd()))


@pytest.mark.parametrize("adjoint", EXACT)
def test_gradcheck(adjoint: str) -> None:
    rnn = layer("gated-antisymmetric", "leapfrog-midpoint", EXACT[adjoint])
    names, values = zip(*rnn.named_parameters(), strict=True)

    def output(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(rnn, dict(zip(names, parameters, strict=True)), (x,))[0]

    x = torch.randn(3, 2, 2, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(output, (x, *values), fast_mode=True)


@pytest.mark.parametrize("adjoint", EXACT)
def test_the_graph_may_be_kept(adjoint: str) -> None:
    rnn = layer("antisymmetric", "leapfrog-midpoint", EXACT[adjoint])
    loss = rnn(torch.randn(7, 3, 2, dtype=DOUBLE))[0].square().sum()
    first = torch.autograd.grad(loss, list(rnn.parameters()), retain_graph=True)
    agree(torch.autograd.grad(loss, list(rnn.parameters())), first)


@pytest.mark.parametrize("adjoint", EXACT)
def test_without_gradients_the_numbers_are_the_same(adjoint: str) -> None:
    rnn, x = layer("antisymmetric", "leapfrog-midpoint", EXACT[adjoint]), torch.randn(7, 3, 2, dtype=DOUBLE)
    with torch.no_grad():
        output, _ = rnn(x)
    assert not output.requires_grad
    torch.testing.assert_close(output, rnn(x)[0].detach(), **ROUNDING[DOUBLE])


@pytest.mark.parametrize("adjoint", ["reversible", "continuous"])
@pytest.mark.parametrize("linear", [True, False])
def test_a_second_derivative_is_refused_where_it_is_asked_for(adjoint: str, linear: bool) -> None:
    """By once_differentiable alone a part of it would come out, by way of W - W^T and the gradient of the loss."""
    rnn = layer("antisymmetric", "leapfrog-midpoint", adjoint)
    output, _ = rnn(torch.randn(4, 3, 2, dtype=DOUBLE))
    loss = output.sum() if linear else output.square().sum()
    with pytest.raises(NotImplementedError, match="has no second derivative, and `create_graph=True` asks"):
        torch.autograd.grad(loss, list(rnn.parameters()), create_graph=True)


@pytest.mark.parametrize("adjoint", ["autograd", "auto", "discrete", "checkpointed"])
def test_second_derivatives_where_they_are_supported(adjoint: str) -> None:
    rnn = layer("antisymmetric", "rk4", adjoint)
    x = torch.randn(3, 2, 2, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: rnn(x)[0], (x,), fast_mode=True)


TRANSFORMS: dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], object]] = {
    "grad": lambda f, x: torch.func.grad(lambda x: f(x).square().sum())(x),
    "vmap": lambda f, x: torch.func.vmap(f, in_dims=1, out_dims=1)(x),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (x.cos(),))[1],
    "jacrev": lambda f, x: torch.func.jacrev(f)(x),
    "vmap of grad": lambda f, x: torch.func.vmap(torch.func.grad(lambda x: f(x).square().sum()), in_dims=1)(x),
}
BY_REVERSE = ("grad", "jacrev", "vmap of grad")


def silent(adjoint: str) -> ODERNN:
    """A layer that reads nothing back, as a transform wants it."""
    rnn = layer("antisymmetric", "leapfrog-midpoint", adjoint)
    rnn.on_divergence = "ignore"
    return rnn


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, at its first jvp
@pytest.mark.parametrize("adjoint", ADJOINTS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_of_torch_func_gives_autograds_number_or_an_error(adjoint: str, transform: str) -> None:
    x, run, rnn, exact = torch.randn(4, 3, 2, dtype=DOUBLE), TRANSFORMS[transform], silent(adjoint), silent("autograd")
    if adjoint in ("autograd", "auto") or (adjoint == "checkpointed" and transform not in BY_REVERSE):
        torch.testing.assert_close(run(lambda x: rnn(x)[0], x), run(lambda x: exact(x)[0], x), **ROUNDING[DOUBLE])
    else:
        with pytest.raises(NotImplementedError, match=r"not go through .* adjoint='autograd'"):
            run(lambda x: rnn(x)[0], x)


def test_transforms_of_autograd_are_right() -> None:
    rnn, x = silent("autograd"), torch.randn(5, 3, 2, dtype=DOUBLE)
    v, step = x.cos(), 1e-6
    difference = (rnn(x + step * v)[0] - rnn(x - step * v)[0]) / (2 * step)
    tangent = torch.func.jvp(lambda x: rnn(x)[0], (x,), (v,))[1]
    torch.testing.assert_close(tangent, difference, rtol=1e-6, atol=1e-8)  # the square of the step
    torch.testing.assert_close(TRANSFORMS["vmap"](lambda x: rnn(x)[0], x), rnn(x)[0])
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(rnn(leaf)[0].square().sum(), leaf)
    torch.testing.assert_close(TRANSFORMS["grad"](lambda x: rnn(x)[0], x), gradient)


def test_reversible_refuses_a_solver_without_an_inverse() -> None:
    rnn = layer("antisymmetric", "rk4", Reversible())
    with pytest.raises(ValueError, match="RK4 has none"):
        rnn(torch.randn(4, 3, 2, dtype=DOUBLE))


def test_reversible_refuses_states_that_it_could_not_make_again() -> None:
    torch.manual_seed(0)
    field = FIELDS["antisymmetric"](1, 16, damping=2.0)
    rnn = ODERNN(field, make_solver("reversible-heun"), dt=0.1, adjoint=Reversible())
    x = 0.01 * torch.randn(300, 2, 1)
    with pytest.raises(ReconstructionError, match="missed the first state by") as caught:
        rnn(x)[1].sum().backward()
    assert caught.value.error > caught.value.tolerance == 1e-3
    rnn.adjoint = Reversible(tolerance=float("inf"))
    rnn(x)[1].sum().backward()


def test_auto_says_what_it_picks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    x = torch.randn(4, 3, 2, dtype=DOUBLE)
    for solver, picked in (("rk4", DiscreteAdjoint()), ("reversible-heun", Autograd())):
        rnn = layer("antisymmetric", solver, "auto")
        assert rnn.choice(x).adjoint == picked
        rnn(x)
        assert f"{picked!r}: there is no operator: Unregistered is not a registered field" in caplog.text


def test_every_adjoint_has_a_name() -> None:
    assert set(ADJOINTS) == {"autograd", "discrete", "checkpointed", "reversible", "continuous", "auto"}
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1, adjoint="discrete")
    assert rnn.with_solver(RK4()).adjoint == DiscreteAdjoint()


@pytest.mark.parametrize("every", [0, -1, 1.5, "root"])
def test_bad_arguments_of_checkpointed(every: object) -> None:
    with pytest.raises((ValueError, TypeError), match="`every`"):
        Checkpointed(every=every)


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan")])
def test_bad_arguments_of_reversible(tolerance: float) -> None:
    with pytest.raises(ValueError, match="`tolerance`"):
        Reversible(tolerance=tolerance)
