"""The eigenvalues of df/dy: of fields for which they are known, and along the trajectory of a network."""

import pytest
import torch
from torch import Tensor

from odernn import (
    FIELDS,
    ODERNN,
    AntisymmetricField,
    GatedAntisymmetricField,
    HamiltonianField,
    LinearAntisymmetricField,
    VectorField,
)
from odernn.analysis import field_jacobian, scaled_spectrum, spectrum
from solvers import RK4, Euler, LeapfrogMidpoint

DOUBLE = torch.float64


def sorted_by_imaginary_part(values: Tensor) -> Tensor:
    return values.gather(-1, values.imag.argsort(dim=-1))


@pytest.mark.parametrize("damping", [0.0, 0.4])
def test_a_linear_antisymmetric_field_turns_and_decays(damping: float) -> None:
    field = LinearAntisymmetricField(1, 2, damping=damping, dtype=DOUBLE)
    with torch.no_grad():
        field.recurrent.upper.fill_(1.5)
    x, y = torch.randn(4, 3, 1, dtype=DOUBLE), torch.randn(4, 3, 2, dtype=DOUBLE)
    values = sorted_by_imaginary_part(spectrum(field, x, y))
    expected = torch.tensor([-damping - 1.5j, -damping + 1.5j], dtype=torch.complex128).expand(4, 3, 2)
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("kind", [AntisymmetricField, HamiltonianField])
def test_the_eigenvalues_of_an_antisymmetric_field_are_imaginary(kind: type[VectorField]) -> None:
    field = kind(2, 8, dtype=DOUBLE)
    x, y = torch.randn(5, 2, dtype=DOUBLE), 2 * torch.randn(5, 8, dtype=DOUBLE)
    values = spectrum(field, x, y)
    assert float(values.real.abs().max()) < 1e-12  # rounding; the moduli are of size one
    assert float(values.imag.abs().max()) > 0.1


def test_a_gate_makes_them_real_in_part() -> None:
    """The gate's part of the Jacobian's diagonal is of either sign, as the notes on the paper say."""
    field = GatedAntisymmetricField(2, 8, sigma_w=4.0, dtype=DOUBLE)
    values = spectrum(field, torch.randn(20, 2, dtype=DOUBLE), 2 * torch.randn(20, 8, dtype=DOUBLE))
    assert float(values.real.abs().max()) > 0.01


@pytest.mark.parametrize("name", FIELDS)
def test_the_jacobian_is_autograds(name: str) -> None:
    field = FIELDS[name](2, 6, dtype=DOUBLE)
    x, y = torch.randn(3, 2, dtype=DOUBLE), torch.randn(3, 6, dtype=DOUBLE)
    found = field_jacobian(field, x, y)
    for row in range(3):
        expected = torch.autograd.functional.jacobian(lambda y, u: field(0.0, y, u), (y[row], field.control(x[row])))[0]
        torch.testing.assert_close(found[row], expected)


def test_inputs_and_states_broadcast() -> None:
    field = AntisymmetricField(2, 6, dtype=DOUBLE)
    x, y = torch.randn(1, 2, dtype=DOUBLE), torch.randn(4, 3, 6, dtype=DOUBLE)
    assert field_jacobian(field, x, y).shape == (4, 3, 6, 6)
    assert field_jacobian(field, x[0], y[0, 0]).shape == (6, 6)
    torch.testing.assert_close(field_jacobian(field, x, y)[2, 1], field_jacobian(field, x[0], y[2, 1]))


@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("solver", [RK4(), LeapfrogMidpoint()], ids=str)
def test_along_a_trajectory_they_are_those_before_each_sample(hold: str, solver: RK4 | LeapfrogMidpoint) -> None:
    field = AntisymmetricField(2, 6, damping=0.3, dtype=DOUBLE)
    rnn = ODERNN(field, solver, dt=0.2, hold=hold)
    x, y0 = torch.randn(7, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 6, dtype=DOUBLE)
    output, _ = rnn(x, y0)
    states = torch.cat((y0, output[:-1]))
    # A linear hold starts an interval with the sample before it.
    inputs = x if hold == "zero-order" else torch.cat((x[:1], x[:-1]))
    expected = sorted_by_imaginary_part(spectrum(field, inputs, states))
    torch.testing.assert_close(sorted_by_imaginary_part(spectrum(rnn, x, y0)), expected)
    chosen = sorted_by_imaginary_part(spectrum(rnn, x, y0, at=[6, 2]))
    torch.testing.assert_close(chosen, expected[[6, 2]])


def test_time_runs_along(clocked_field: VectorField) -> None:
    """A field with explicit time: the Jacobian at sample 3 is that at its time."""
    rnn = ODERNN(clocked_field, RK4(), dt=0.25)
    x = torch.randn(5, 1, 2, dtype=DOUBLE)
    output, _ = rnn(x)
    u = clocked_field.control(x[3, 0])
    jacobian = torch.autograd.functional.jacobian(lambda y: clocked_field(0.75, y, u), output[2, 0].detach())
    expected = sorted_by_imaginary_part(torch.linalg.eigvals(jacobian))
    torch.testing.assert_close(sorted_by_imaginary_part(spectrum(rnn, x, at=[3]))[0, 0], expected)


@pytest.mark.parametrize("shape", [(), (7,), (3, 7)])
def test_scaled_by_the_step_of_the_solver(shape: tuple[int, ...]) -> None:
    dt = 0.1 + torch.rand(shape, dtype=DOUBLE)
    rnn = ODERNN(AntisymmetricField(2, 6, dtype=DOUBLE), Euler(), dt=dt, substeps=4)
    x = torch.randn(7, 3, 2, dtype=DOUBLE)
    steps = (dt.T if dt.ndim == 2 else dt.reshape(-1, 1)).expand(7, 3) / 4
    torch.testing.assert_close(scaled_spectrum(rnn, x), spectrum(rnn, x) * steps.unsqueeze(-1))
    torch.testing.assert_close(scaled_spectrum(rnn, x, at=[5]), scaled_spectrum(rnn, x)[5:6])


def test_double_precision_by_option() -> None:
    rnn = ODERNN(AntisymmetricField(2, 6), RK4(), dt=0.1, batch_first=True)
    x = torch.randn(3, 5, 2)
    assert spectrum(rnn, x).dtype == torch.complex64
    assert spectrum(rnn, x, dtype=DOUBLE).dtype == torch.complex128
    assert spectrum(rnn, x, dtype=DOUBLE).shape == (5, 3, 6)


def test_a_jacobian_that_is_not_finite_never_reaches_lapack() -> None:
    field = AntisymmetricField(2, 6)
    with pytest.raises(ValueError, match="entries are not finite"):
        spectrum(field, torch.zeros(2), torch.full((6,), float("nan")))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model": 3}, TypeError, "`model` is int; give an ODERNN or a VectorField"),
        ({"y": None}, TypeError, "`y` is NoneType; give a torch.Tensor"),
        ({"y": torch.zeros(3, 5)}, ValueError, r"`y` has shape \(3, 5\); give \(..., 6\)"),
        ({"x": torch.zeros(3, 5)}, ValueError, r"`x` has shape \(3, 5\); give \(..., 2\)"),
        ({"at": [0]}, ValueError, "`at` chooses samples of a network's input"),
        ({"dtype": 64}, TypeError, "`dtype` is 64"),
    ],
)
def test_bad_arguments_of_a_field_are_named(change: dict, error: type[Exception], said: str) -> None:
    arguments = {"model": AntisymmetricField(2, 6), "x": torch.zeros(3, 2), "y": torch.zeros(3, 6)} | change
    with pytest.raises(error, match=said):
        spectrum(**arguments)


@pytest.mark.parametrize("at", [[], [5], [-1]])
def test_samples_that_are_not_there_are_named(at: list[int]) -> None:
    rnn = ODERNN(AntisymmetricField(2, 6), RK4(), dt=0.1)
    with pytest.raises(ValueError, match=r"`at` is .* and the input has 5 samples; give some of 0 to 4"):
        spectrum(rnn, torch.zeros(5, 1, 2), at=at)
