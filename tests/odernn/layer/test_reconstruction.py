"""The reversible adjoint's measured error bounds its gradient's; what it accepts and what it refuses."""

from math import exp, sqrt

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN
from solvers import (
    Adjoint,
    AsynchronousLeapfrog,
    Autograd,
    Leapfrog,
    LeapfrogMidpoint,
    ReconstructionError,
    Reversible,
    ReversibleHeun,
    ReversibleSolver,
    integrate,
)
from solvers.adjoints.reconstruction import Comparison, Sizes
from tests.pairs import crossed

DOUBLE = torch.float64
ANY = Reversible(tolerance=float("inf"))
NEUTRAL = ("antisymmetric", {}, LeapfrogMidpoint())
CASES = {
    "neutral": NEUTRAL,
    "symplectic": ("hamiltonian", {}, Leapfrog()),
    "damped": ("antisymmetric", {"damping": 1.0}, LeapfrogMidpoint()),
    "strongly damped": ("gated-antisymmetric", {"damping": 3.0}, ReversibleHeun()),
    "unstable": ("unstructured", {"sigma_w": 2.0}, AsynchronousLeapfrog()),
}


def gradient(
    case: tuple, adjoint: Adjoint, dtype: torch.dtype, *, start: float, drive: float, dt: float, length: int
) -> Tensor:
    """Of losses along the trajectory by input, start and parameters, as one vector."""
    name, arguments, solver = case
    torch.manual_seed(0)
    field = FIELDS[name](2, 6, dtype=dtype, **arguments)
    x = (drive * torch.randn(length, 3, 2, dtype=dtype)).requires_grad_()
    y0 = (start * torch.randn(1, 3, 6, dtype=dtype)).requires_grad_()
    output, y = ODERNN(field, solver, dt=dt, adjoint=adjoint)(x, y0)
    loss = (y * torch.randn_like(y)).sum() + output[length // 2].sum()
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, [x, y0, *field.parameters()])])


def distance(one: Tensor, other: Tensor) -> float:
    return float(torch.linalg.vector_norm(one - other) / torch.linalg.vector_norm(other))


def measured_error(case: tuple, dtype: torch.dtype, **setup: float) -> float:
    """What the adjoint measures: it says so in its refusal, and here it refuses anything."""
    with pytest.raises(ReconstructionError) as caught:
        gradient(case, Reversible(tolerance=1e-300), dtype, **setup)
    return caught.value.error


@crossed({"case": list(CASES), "start": [0.0, 1.0], "drive": [1e-3, 1.0], "dtype": [torch.float64, torch.float32]})
def test_the_measured_error_bounds_that_of_the_gradient(
    case: str, start: float, drive: float, dtype: torch.dtype
) -> None:
    setup = {"start": start, "drive": drive, "dt": 0.2, "length": 60}
    error = measured_error(CASES[case], dtype, **setup)
    exact = gradient(CASES[case], Autograd(), dtype, **setup)
    rounding = torch.finfo(dtype).eps * sqrt(60)  # of the sums over the steps, which autograd's gradient has too
    off = distance(gradient(CASES[case], ANY, dtype, **setup), exact)
    # The docstring's factor. Beyond an error of one there is nothing left to be bounded.
    assert error > 0.1 or off <= 20 * (error + rounding)


@pytest.mark.parametrize("solver", [pytest.param(LeapfrogMidpoint(), marks=pytest.mark.full), AsynchronousLeapfrog()])
def test_a_long_sequence_of_small_steps_from_zero_is_accepted(solver: ReversibleSolver) -> None:
    """The first state is a 3000th of the last one, and rounding is relative to the states along the way.

    Beside the first state alone the error of AsynchronousLeapfrog is 0.003, and 0.001 is allowed.
    """
    field, x = FIELDS["antisymmetric"](2, 6), torch.randn(3, 2).abs().expand(3000, 3, 2)

    def found(adjoint: Adjoint) -> Tensor:
        loss = ODERNN(field, solver, dt=1e-3, adjoint=adjoint)(x, save="end")[1].sum()
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(field.parameters()))])

    assert distance(found(Reversible()), found(Autograd())) < 1e-4  # far below the tolerance's promise


@pytest.mark.parametrize(
    ("gradient", "error"),
    [
        (0.1, 0.1 / 5),  # the largest state
        (10.0, 0.1 / 2),  # the largest product over this gradient
        (100.0, 0.1 / 1),  # this state's own product is the largest
        (0.0, 0.0),
        (float("nan"), float("nan")),
    ],
)
def test_what_an_error_is_set_against(gradient: float, error: float) -> None:
    sizes = Sizes(torch.tensor([[3.0, 4.0]]))
    sizes.meet(torch.tensor([[0.0, 2.0]]))
    comparison = Comparison(sizes)
    comparison.meet(torch.tensor([[0.0, 2.0]]), torch.tensor([[10.0, 0.0]]))
    true = torch.tensor([[1.0, 0.0]])
    found = comparison.error(true + torch.tensor([[0.0, 0.1]]), true, torch.tensor([[0.0, gradient]]))
    assert found == pytest.approx(error, rel=1e-5, nan_ok=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_strong_damping_is_refused(dtype: torch.dtype) -> None:
    case = ("antisymmetric", {"damping": 2.0}, LeapfrogMidpoint())
    with pytest.raises(ReconstructionError, match="missed the first state by"):
        gradient(case, Reversible(), dtype, start=0.0, drive=1e-4, dt=0.05, length=300)


@pytest.mark.parametrize("span", [16.0, 4.0])
def test_where_states_grow_the_early_ones_count(span: float) -> None:
    """A saddle, y' = M y with the rates 1 and -1: the state grows by e^span, its rounding by as much on the way back.

    Early states are small and their gradients large: beside the largest state the error of the first would be
    1e-16 e^span only.
    """
    c, s = torch.tensor(0.6, dtype=DOUBLE), torch.tensor(0.8, dtype=DOUBLE)
    turn = torch.stack((torch.stack((c, -s)), torch.stack((s, c))))
    m = (turn @ torch.diag(torch.tensor([1.0, -1.0], dtype=DOUBLE)) @ turn.T).requires_grad_()
    y0 = torch.tensor([[1.0, 0.7]], dtype=DOUBLE)

    def of_matrix(adjoint: Adjoint) -> Tensor:
        y = integrate(lambda t, y: y @ m.T, y0, t1=span, dt=0.05, solver=ReversibleHeun(), adjoint=adjoint).y[-1]
        return torch.autograd.grad((y @ turn[:, 0]).sum(), m)[0]

    off = distance(of_matrix(ANY), of_matrix(Autograd()))
    if span > 10:
        assert off > 1e-5  # far above the 1e-16 e^16 = 1e-9 that the largest state would suggest
        with pytest.raises(ReconstructionError):
            of_matrix(Reversible())
    else:
        assert distance(of_matrix(Reversible()), of_matrix(Autograd())) == off < 1e-10


def test_what_gives_no_gradient_makes_no_error() -> None:
    """A sample that no loss looks at, and a state that stays zero."""
    y0 = torch.tensor([[0.5, -0.3], [0.4, 0.1], [0.0, 0.0]], dtype=DOUBLE, requires_grad=True)
    y = integrate(lambda t, y: y.flip(-1), y0, t1=1.0, dt=0.1, solver=ReversibleHeun(), adjoint=Reversible()).y[-1]
    (found,) = torch.autograd.grad(y[0].sum(), y0)
    assert found[0].norm() > exp(0.9)
    assert found[1:].norm() == 0


def test_a_gradient_that_is_no_number_is_refused() -> None:
    """What cannot be compared with the tolerance is not below it."""
    y0 = torch.tensor([[0.5, -0.3]], dtype=DOUBLE, requires_grad=True)
    y = integrate(lambda t, y: y.flip(-1), y0, t1=1.0, dt=0.1, solver=ReversibleHeun(), adjoint=Reversible()).y[-1]
    with pytest.raises(ReconstructionError, match="by nan relatively"):
        (y * float("nan")).sum().backward()
