"""Banks of oscillators: their formula, their parameters, and an amplitude that an exact linear part keeps."""

from math import cos, exp, log, sin

import pytest
import torch

from odernn import ODERNN, GatedOscillatorField, OscillatorField, UnstructuredOscillatorField
from solvers import Euler, LinearlyExactEuler

DOUBLE = torch.float64
FIELDS = (OscillatorField, GatedOscillatorField, UnstructuredOscillatorField)


@pytest.mark.parametrize("make", FIELDS)
def test_formula(make: type[OscillatorField]) -> None:
    field = make(3, 6, frequency_unit=4.0, damping=0.2, dtype=DOUBLE)
    x, y = torch.randn(5, 3, dtype=DOUBLE), torch.randn(5, 6, dtype=DOUBLE)
    torch.nn.init.normal_(field.scaled_frequency)
    torch.nn.init.normal_(field.log_damping)
    omega, g = 4 * field.scaled_frequency, field.log_damping.exp()
    q, p = y.chunk(2, -1)
    linear = torch.cat((-g * q - omega * p, omega * q - g * p), -1)
    p, u = y @ field.recurrent().T, x @ field.input_map.weight.T + field.input_map.bias
    gate = torch.sigmoid(p + u[:, 6:]) if make is GatedOscillatorField else 1
    expected = linear + gate * torch.tanh(p + u[:, :6])
    assert torch.allclose(field(0.0, y, field.control(x)), expected, rtol=0, atol=1e-14)
    a, remainder = field.semilinear()
    assert torch.allclose(y @ a.dense().T + remainder(0.0, y, field.control(x)), expected, rtol=0, atol=1e-14)


def test_parameters() -> None:
    field = OscillatorField(1, 128)
    assert sum(p.numel() for p in field.parameters()) == 8_128 + 64 + 64 + 256
    gated = GatedOscillatorField(1, 128)
    assert sum(p.numel() for p in gated.parameters()) == 8_128 + 64 + 64 + 512
    free = UnstructuredOscillatorField(1, 128)
    assert sum(p.numel() for p in free.parameters()) == 128 * 128 + 64 + 64 + 256


def test_start() -> None:
    """With the unit 1 / dt the parameters are angles in radians a sample."""
    field = OscillatorField(1, 128, lowest_frequency=0.1, highest_frequency=10.0, frequency_unit=10.0)
    torch.testing.assert_close(field.scaled_frequency.detach(), torch.linspace(0.01, 1.0, 64))
    torch.testing.assert_close(field.frequencies().detach(), torch.linspace(0.1, 10.0, 64))
    torch.testing.assert_close(field.log_damping.detach(), torch.full((64,), log(0.01)))
    assert torch.equal(field.recurrent(), -field.recurrent().T)
    # of 8,128 and of 128 draws, whose standard deviations are off by 1 % and 6 % or so
    assert float(field.recurrent.upper.detach().std()) == pytest.approx(0.5 / 128**0.5, rel=0.05)
    assert float(field.input_map.weight.detach().std()) == pytest.approx(0.3, rel=0.2)


def test_one_step_is_a_rotation_and_a_rate() -> None:
    """By hand, on one oscillator: R y + dt tanh(V x + b), as the matrix of one oscillator inside the tanh."""
    field = OscillatorField(1, 2, lowest_frequency=3.0, damping=0.5, dtype=DOUBLE)
    x, y0 = torch.randn(1, 1, 1, dtype=DOUBLE), torch.randn(1, 1, 2, dtype=DOUBLE)
    dt, (w, _) = 0.3, field.recurrent.upper.detach().expand(2)
    q, p = y0.flatten().tolist()
    u = (x.flatten() * field.input_map.weight.detach().flatten()).tolist()
    decay, c, s = exp(-0.5 * dt), cos(3 * dt), sin(3 * dt)
    inner = torch.tensor([w * p + u[0], -w * q + u[1]], dtype=DOUBLE)
    expected = decay * torch.tensor([c * q - s * p, s * q + c * p], dtype=DOUBLE) + dt * inner.tanh()
    end = ODERNN(field, LinearlyExactEuler(), dt=dt)(x, y0)[1]
    torch.testing.assert_close(end.flatten().detach(), expected, rtol=0, atol=1e-14)


def test_the_exact_linear_part_keeps_the_amplitude() -> None:
    """Without an input the tanh part of this field is zero: Euler's method grows, the exact flow only decays."""
    field = OscillatorField(1, 8, lowest_frequency=0.1, highest_frequency=20.0, damping=1e-3, sigma_w=0.0, dtype=DOUBLE)
    x, y0 = torch.zeros(400, 1, 1, dtype=DOUBLE), torch.randn(1, 1, 8, dtype=DOUBLE)
    end = ODERNN(field, LinearlyExactEuler(), dt=0.1)(x, y0)[1]
    decay = exp(-1e-3 * 40)
    torch.testing.assert_close(end.norm(), decay * y0.norm(), rtol=1e-12, atol=0)  # 400 roundings
    with torch.no_grad():
        grown = ODERNN(field, Euler(), dt=0.1)(x, y0)[1]
    assert float(grown.norm()) > 1e6


@pytest.mark.parametrize("make", FIELDS)
def test_bad_arguments(make: type[OscillatorField]) -> None:
    with pytest.raises(ValueError, match=r"`hidden_size` is 5; .* give an even number"):
        make(1, 5)
    with pytest.raises(ValueError, match="`damping`"):
        make(1, 4, damping=0.0)
    with pytest.raises(ValueError, match="`frequency_unit`"):
        make(1, 4, frequency_unit=0.0)
    with pytest.raises(ValueError, match="`lowest_frequency`"):
        make(1, 4, lowest_frequency=-1.0)
    with pytest.raises(TypeError, match="`highest_frequency`"):
        make(1, 4, highest_frequency="x")
