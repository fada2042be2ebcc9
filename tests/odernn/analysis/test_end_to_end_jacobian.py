"""Law: the end-to-end Jacobian is the derivative of the last state by the first, for any field, solver and hold."""

from collections.abc import Callable
from math import cos, exp, sin

import pytest
import torch
from torch import Tensor

from odernn import (
    FIELDS,
    ODERNN,
    AntisymmetricField,
    AntisymmetricRNN,
    LinearAntisymmetricField,
    LipschitzField,
    NoisyField,
    VectorField,
)
from odernn.analysis import conditioning, end_to_end_jacobian
from solvers import (
    RK4,
    SOLVERS,
    AdamsBashforth3,
    Euler,
    EulerMaruyama,
    ExponentialEuler,
    Heun,
    ImplicitMidpoint,
    LeapfrogMidpoint,
    Reversible,
    ReversibleHeun,
    Solver,
    make_solver,
)

DOUBLE = torch.float64

# Both are exact derivatives of the same steps; they differ by the order of summation.
ROUNDING = 1e-11


def data(time: int = 9, batch: int = 3, inputs: int = 2, units: int = 6) -> tuple[Tensor, Tensor]:
    return torch.randn(time, batch, inputs, dtype=DOUBLE), torch.randn(1, batch, units, dtype=DOUBLE)


def rotation(omega: float, damping: float) -> LinearAntisymmetricField:
    """Two units that turn by omega and decay by damping a unit of time."""
    field = LinearAntisymmetricField(1, 2, damping=damping, dtype=DOUBLE)
    with torch.no_grad():
        field.recurrent.upper.fill_(omega)
    return field


def turned(omega: float, damping: float, time: float) -> Tensor:
    """The exact flow of `rotation`."""
    c, s, decay = cos(omega * time), sin(omega * time), exp(-damping * time)
    return decay * torch.tensor([[c, s], [-s, c]], dtype=DOUBLE)


@pytest.mark.parametrize("name", SOLVERS)
def test_it_is_autograds_for_every_solver(
    name: str, field_for: Callable[[Solver], VectorField], by_autograd: Callable[[ODERNN, Tensor, Tensor], Tensor]
) -> None:
    solver = make_solver(name)
    x, y0 = data()
    rnn = ODERNN(field_for(solver).eval(), solver, dt=0.2, substeps=2)
    # The adaptive method's error norm runs over the batch, and here the batch is another: it agrees to its tolerance.
    near = 1e-4 if solver.family == "adaptive" else ROUNDING
    torch.testing.assert_close(end_to_end_jacobian(rnn, x, y0), by_autograd(rnn, x, y0), rtol=near, atol=near)


@pytest.mark.parametrize("name", FIELDS)
def test_it_is_autograds_for_every_field(name: str, by_autograd: Callable[[ODERNN, Tensor, Tensor], Tensor]) -> None:
    x, y0 = data()
    rnn = ODERNN(FIELDS[name](2, 6, dtype=DOUBLE), Heun(), dt=0.2)
    torch.testing.assert_close(end_to_end_jacobian(rnn, x, y0), by_autograd(rnn, x, y0), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("solver", [RK4(), LeapfrogMidpoint(), AdamsBashforth3(), ReversibleHeun()], ids=str)
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("shape", [(), (9,), (3, 9)])
def test_it_is_autograds_for_uneven_steps_and_both_holds(
    solver: Solver,
    hold: str,
    shape: tuple[int, ...],
    by_autograd: Callable[[ODERNN, Tensor, Tensor], Tensor],
) -> None:
    x, y0 = data()
    dt = 0.1 + 0.2 * torch.rand(shape, dtype=DOUBLE)
    rnn = ODERNN(AntisymmetricField(2, 6, dtype=DOUBLE), solver, dt=dt, hold=hold)
    torch.testing.assert_close(end_to_end_jacobian(rnn, x, y0), by_autograd(rnn, x, y0), rtol=ROUNDING, atol=ROUNDING)


def test_it_takes_a_field_with_explicit_time_and_no_structure(
    clocked_field: VectorField, by_autograd: Callable[[ODERNN, Tensor, Tensor], Tensor]
) -> None:
    x, y0 = data(units=4)
    rnn = ODERNN(clocked_field, RK4(), dt=0.2, hold="linear")
    torch.testing.assert_close(end_to_end_jacobian(rnn, x, y0), by_autograd(rnn, x, y0), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_the_exact_flow_of_a_rotation(damping: float) -> None:
    rnn = ODERNN(rotation(2.0, damping), ExponentialEuler(), dt=0.1)
    jacobian = end_to_end_jacobian(rnn, torch.randn(50, 1, 1, dtype=DOUBLE))
    # Fifty products of exact matrices, each rounded once.
    torch.testing.assert_close(jacobian[0], turned(2.0, damping, 5.0), rtol=1e-12, atol=1e-13)


def test_euler_grows_as_told() -> None:
    omega, dt, length = 2.0, 0.1, 40
    rnn = ODERNN(rotation(omega, 0.0), Euler(), dt=dt)
    found = conditioning(end_to_end_jacobian(rnn, torch.zeros(length, 1, 1, dtype=DOUBLE)))
    growth = torch.full((1, 2), (1 + (dt * omega) ** 2) ** (length / 2), dtype=DOUBLE)
    torch.testing.assert_close(found.moduli, growth)
    torch.testing.assert_close(found.singular_values, growth)


def defect(solver: Solver, dt: float) -> float:
    """The largest entry of Phi^T M Phi - M over the time 4, relative to that of M, under a random input."""
    torch.manual_seed(3)
    field = AntisymmetricField(2, 6, sigma_w=2.0, dtype=DOUBLE)
    # The same input at every step size: piecewise constant over 0.2.
    x = torch.randn(20, 2, 2, dtype=DOUBLE).repeat_interleave(round(0.2 / dt), dim=0)
    phi = end_to_end_jacobian(ODERNN(field, solver, dt=dt), x)
    m = field.weight().detach()
    return float((phi.mT @ m @ phi - m).abs().max() / m.abs().max())


def test_an_antisymmetric_flow_keeps_its_form_under_any_input() -> None:
    assert defect(ImplicitMidpoint(), 0.2) < 1e-11  # rounding, times the size of Phi
    coarse, fine = defect(RK4(), 0.1), defect(RK4(), 0.05)
    assert coarse / fine > 2**3.5  # order 4 at least
    assert defect(Euler(), 0.2) > 0.1


def test_more_rows_than_one_pass_holds(by_autograd: Callable[[ODERNN, Tensor, Tensor], Tensor]) -> None:
    """So long that the rows go in several passes: 2^24 entries hold 12 of the 20 rows."""
    length, units = 5461, 20
    rnn = ODERNN(AntisymmetricField(1, units, dtype=DOUBLE), Euler(), dt=0.001)
    x, y0 = torch.randn(length, 12, 1, dtype=DOUBLE), torch.randn(1, 12, units, dtype=DOUBLE)
    jacobian = end_to_end_jacobian(rnn, x, y0)
    one = by_autograd(rnn, x[:, 5:6], y0[:, 5:6])
    torch.testing.assert_close(jacobian[5:6], one, rtol=1e-10, atol=1e-10)  # 5,461 steps of rounding


def test_the_layout_is_the_layers() -> None:
    x, y0 = data()
    field = AntisymmetricField(2, 6, dtype=DOUBLE)
    first, last = ODERNN(field, RK4(), dt=0.1), ODERNN(field, RK4(), dt=0.1, batch_first=True)
    expected = end_to_end_jacobian(first, x, y0)
    torch.testing.assert_close(end_to_end_jacobian(last, x.transpose(0, 1), y0), expected)
    torch.testing.assert_close(end_to_end_jacobian(first, x[:, 1], y0[:, 1]), expected[1:2])


def test_the_layer_stays_as_it_was() -> None:
    x, y0 = data()
    rnn = ODERNN(AntisymmetricField(2, 6, dtype=DOUBLE), Euler(), dt=0.1).train()
    before = {name: value.clone() for name, value in rnn.state_dict().items()}
    end_to_end_jacobian(rnn, x, y0)
    assert rnn.training
    assert all(value.requires_grad and value.grad is None for value in rnn.parameters())
    assert all(torch.equal(value, before[name]) for name, value in rnn.state_dict().items())


def test_double_precision_by_option() -> None:
    rnn = AntisymmetricRNN(2, 6, epsilon=0.1, gamma=0.1).layers[0]
    x = torch.randn(20, 3, 2)
    found = end_to_end_jacobian(rnn, x, dtype=DOUBLE)
    assert found.dtype == DOUBLE
    assert end_to_end_jacobian(rnn, x).dtype == torch.float32
    torch.testing.assert_close(found, end_to_end_jacobian(rnn.double(), x.double()))


def test_the_adjoint_is_exact_whatever_the_layers_is(by_autograd: Callable[[ODERNN, Tensor, Tensor], Tensor]) -> None:
    x, y0 = data()
    field = AntisymmetricField(2, 6, dtype=DOUBLE)
    reversed_by_hand = ODERNN(field, ReversibleHeun(), dt=0.1, adjoint=Reversible())
    expected = by_autograd(ODERNN(field, ReversibleHeun(), dt=0.1, adjoint="autograd"), x, y0)
    torch.testing.assert_close(end_to_end_jacobian(reversed_by_hand, x, y0), expected, rtol=ROUNDING, atol=ROUNDING)


def test_noise_is_off() -> None:
    x, y0 = data()
    inner = LipschitzField(2, 6, dtype=DOUBLE)
    noisy = ODERNN(NoisyField(inner, additive=1.0, multiplicative=1.0).train(), EulerMaruyama(), dt=0.1)
    torch.testing.assert_close(end_to_end_jacobian(noisy, x, y0), end_to_end_jacobian(noisy, x, y0))
    quiet = ODERNN(inner, Euler(), dt=0.1)
    torch.testing.assert_close(end_to_end_jacobian(noisy, x, y0), end_to_end_jacobian(quiet, x, y0))


def test_a_jacobian_that_overflows_is_refused() -> None:
    field = LinearAntisymmetricField(1, 2, sigma_w=0.0)
    with torch.no_grad():
        field.recurrent.upper.fill_(1e3)
    rnn = ODERNN(field, Euler(), dt=1.0)
    # No input and no start: the states stay zero, and only the derivative grows by 1e3 a step.
    with pytest.raises(ValueError, match=r"the end-to-end Jacobian: 4 of 4 entries are not finite"):
        end_to_end_jacobian(rnn, torch.zeros(20, 1, 1))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"rnn": "euler"}, TypeError, "`rnn` is str; give an ODERNN"),
        ({"x": [1.0]}, TypeError, "`x` is list; give a torch.Tensor"),
        ({"x": torch.zeros(5, 3, 7)}, ValueError, "`x` has 7 features"),
        ({"y0": torch.zeros(3, 6)}, ValueError, "`y0` has shape"),
        ({"y0": 0.0}, TypeError, "`y0` is float"),
        ({"dtype": "double"}, TypeError, "`dtype` is 'double'; give a floating dtype"),
        ({"dtype": torch.int64}, TypeError, "`dtype` is torch.int64; give a floating dtype"),
    ],
)
def test_bad_arguments_are_named(change: dict, error: type[Exception], said: str) -> None:
    arguments = {"rnn": AntisymmetricRNN(2, 6, epsilon=0.1, gamma=0.1).layers[0], "x": torch.zeros(5, 3, 2)} | change
    with pytest.raises(error, match=said):
        end_to_end_jacobian(**arguments)
