"""Law: every adjoint gives the gradients of autograd, over every field and every solver that it accepts."""

import pytest
import torch
from torch import Tensor

from odernn import (
    FIELDS,
    ODERNN,
    RecurrentState,
)
from solvers import (
    SOLVERS,
    Adjoint,
    Autograd,
    Continuous,
    make_solver,
)
from tests.odernn.layer.under_adjoints import (
    BACKWARD,
    DOUBLE,
    DTYPES,
    EXACT,
    WHOLE,
    accepted,
    agree,
    fits,
    gradients,
    layer,
    reference,
    undone,
)
from tests.pairs import crossed
from tests.problems import REPRESENTATIVES


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
