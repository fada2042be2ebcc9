"""The gradient of a loss by every state: of flows for which it is known, and against autograd."""

from collections.abc import Callable
from math import exp

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField, LinearAntisymmetricField
from odernn.analysis import end_to_end_jacobian, gradient_profile
from solvers import RK4, AdamsBashforth2, Euler, ExponentialEuler, LeapfrogMidpoint, ReversibleHeun, Solver

DOUBLE = torch.float64


def last(output: Tensor) -> Tensor:
    return output[-1].sum()


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_it_decays_backward_by_the_damping_of_a_rotation(damping: float) -> None:
    field = LinearAntisymmetricField(1, 2, damping=damping, dtype=DOUBLE)
    rnn = ODERNN(field, ExponentialEuler(), dt=0.1)
    norms = gradient_profile(rnn, torch.randn(30, 2, 1, dtype=DOUBLE), last)
    expected = torch.tensor([2**0.5 * exp(-damping * 0.1 * (30 - t)) for t in range(31)], dtype=DOUBLE)
    torch.testing.assert_close(norms, expected.unsqueeze(1).expand(-1, 2))


def test_it_grows_backward_by_eulers_growth() -> None:
    field = LinearAntisymmetricField(1, 2, dtype=DOUBLE)
    with torch.no_grad():
        field.recurrent.upper.fill_(3.0)
    norms = gradient_profile(ODERNN(field, Euler(), dt=0.1), torch.zeros(20, 1, 1, dtype=DOUBLE), last)
    torch.testing.assert_close(norms[:-1] / norms[1:], torch.full((20, 1), (1 + 0.3**2) ** 0.5, dtype=DOUBLE))


@pytest.mark.parametrize("solver", [RK4(), LeapfrogMidpoint(), AdamsBashforth2(), ReversibleHeun()], ids=str)
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
def test_the_first_row_is_the_gradient_by_the_start(solver: Solver, hold: str) -> None:
    rnn = ODERNN(AntisymmetricField(2, 6, dtype=DOUBLE), solver, dt=0.2, hold=hold)
    x, y0 = torch.randn(9, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 6, dtype=DOUBLE)
    start = y0.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(rnn(x, start)[0].square().sum(), start)
    norms = gradient_profile(rnn, x, lambda output: output.square().sum(), y0)
    assert norms.shape == (10, 3)
    torch.testing.assert_close(norms[0], torch.linalg.vector_norm(gradient[0], dim=-1))


def test_every_row_is_the_product_of_the_steps_after_it() -> None:
    rnn = ODERNN(AntisymmetricField(2, 6, dtype=DOUBLE), RK4(), dt=torch.rand(8, dtype=DOUBLE) + 0.1)
    x, y0 = torch.randn(8, 1, 2, dtype=DOUBLE), torch.randn(1, 1, 6, dtype=DOUBLE)
    output, _ = rnn(x, y0)
    norms = gradient_profile(rnn, x, last, y0)
    for t in range(1, 8):
        rest = ODERNN(rnn.field, RK4(), dt=rnn.dt[t:])  # pyright: ignore[reportIndexIssue]
        jacobian = end_to_end_jacobian(rest, x[t:], output[t - 1 : t].detach())
        torch.testing.assert_close(norms[t, 0], torch.linalg.vector_norm(jacobian[0].sum(0)))


@pytest.mark.parametrize(
    ("batch_first", "shape", "seen"),
    [(True, (2, 5, 2), (2, 5, 6)), (False, (5, 2, 2), (5, 2, 6)), (False, (5, 2), (5, 6))],
)
def test_the_loss_sees_the_output_in_the_layers_layout(
    batch_first: bool, shape: tuple[int, ...], seen: tuple[int, ...]
) -> None:
    rnn = ODERNN(AntisymmetricField(2, 6), RK4(), dt=0.2, batch_first=batch_first)
    shapes = []

    def loss(output: Tensor) -> Tensor:
        shapes.append(tuple(output.shape))
        return output.sum()

    gradient_profile(rnn, torch.randn(shape), loss)
    assert shapes == [seen]


@pytest.mark.parametrize(
    ("loss", "error", "said"),
    [
        (None, TypeError, "`loss` is NoneType; give a function"),
        (lambda output: 1.0, TypeError, "`loss` returned float"),
        (lambda output: output, ValueError, r"`loss` returned the shape \(5, 3, 6\); it returns one number"),
        (lambda output: torch.zeros(()), ValueError, "`loss` returned a number without a gradient"),
        (lambda output: (output * float("inf")).sum(), ValueError, "entries are not finite"),
    ],
)
def test_a_loss_that_will_not_do_is_named(loss: Callable[[Tensor], Tensor], error: type[Exception], said: str) -> None:
    rnn = ODERNN(AntisymmetricField(2, 6), RK4(), dt=0.2)
    with pytest.raises(error, match=said):
        gradient_profile(rnn, torch.randn(5, 3, 2), loss)
