"""Lyapunov exponents: of flows and maps for which they are known, and against the whole Jacobian."""

from math import log, log1p

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AntisymmetricField, HamiltonianField, LinearAntisymmetricField, VectorField
from odernn.analysis import end_to_end_jacobian, lyapunov_exponents
from solvers import RK4, AdamsBashforth3, Euler, ExponentialEuler, ImplicitMidpoint, Leapfrog, ReversibleHeun, Solver
from solvers.extend import Time

DOUBLE = torch.float64


class Saddles(VectorField):
    """Units that decay or grow each by itself: dy_i/dt = rate_i y_i, and a coupling that only the first feels."""

    def __init__(self, rates: list[float]) -> None:
        super().__init__(1, len(rates))
        self.rates = nn.Parameter(torch.tensor(rates, dtype=DOUBLE))

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        slope = self.rates * y
        return torch.cat((slope[..., :1] + 0.5 * y.sum(-1, keepdim=True) - 0.5 * y[..., :1], slope[..., 1:]), -1)


class VanDerPol(VectorField):
    """The oscillator x'' = mu (1 - x^2) x' - x, which ends on a limit cycle."""

    def __init__(self, mu: float) -> None:
        super().__init__(1, 2)
        self.mu = nn.Parameter(torch.tensor(mu, dtype=DOUBLE))

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        position, velocity = y.chunk(2, -1)
        return torch.cat((velocity, self.mu * (1 - position**2) * velocity - position), -1)


def rotation(omega: float, damping: float) -> LinearAntisymmetricField:
    field = LinearAntisymmetricField(1, 2, damping=damping, dtype=DOUBLE)
    with torch.no_grad():
        field.recurrent.upper.fill_(omega)
    return field


def test_a_damped_rotation_loses_its_damping() -> None:
    rnn = ODERNN(rotation(2.0, 0.3), ExponentialEuler(), dt=0.1)
    exponents = lyapunov_exponents(rnn, torch.randn(55, 3, 1, dtype=DOUBLE))
    torch.testing.assert_close(exponents, torch.full((3, 2), -0.3, dtype=DOUBLE))


def test_eulers_exponents_are_those_of_eulers_map() -> None:
    omega, damping, dt = 2.0, 0.3, 0.1
    rnn = ODERNN(rotation(omega, damping), Euler(), dt=dt)
    expected = 0.5 * log((1 - dt * damping) ** 2 + (dt * omega) ** 2) / dt
    exponents = lyapunov_exponents(rnn, torch.zeros(40, 1, 1, dtype=DOUBLE), every=7)
    torch.testing.assert_close(exponents, torch.full((1, 2), expected, dtype=DOUBLE))


def test_rates_of_a_field_that_is_not_normal() -> None:
    """A triangular system: the exponents are the rates, whatever the coupling, once the frame has settled."""
    rates = [-0.1, 0.4, -2.0]
    rnn = ODERNN(Saddles(rates), Euler(), dt=0.05)
    exponents = lyapunov_exponents(rnn, torch.zeros(800, 1, 1, dtype=DOUBLE), skip=400)
    expected = torch.tensor([[log1p(0.05 * rate) / 0.05 for rate in sorted(rates, reverse=True)]], dtype=DOUBLE)
    # The frame settles as exp(-(0.4 + 0.1) t), which is 4e-5 after the skipped time 20.
    torch.testing.assert_close(exponents, expected, rtol=0, atol=1e-5)


def test_a_limit_cycle_has_a_zero_exponent_and_the_mean_divergence() -> None:
    """Along the flow of an autonomous field one exponent is 0; the sum is the mean of the trace of the Jacobian."""
    mu, dt = 1.0, 0.05
    rnn = ODERNN(VanDerPol(mu), RK4(), dt=dt)
    x, y0 = torch.zeros(1400, 1, 1, dtype=DOUBLE), torch.tensor([[[2.0, 0.0]]], dtype=DOUBLE)
    exponents = lyapunov_exponents(rnn, x, y0, every=20, skip=400)
    position = rnn(x, y0)[0].detach()[399:, 0, 0]
    divergence = mu * (1 - position**2)
    mean = (divergence[:-1] + divergence[1:]).mean() / 2
    # The phase of the cycle at the end leaves the logarithm of a ratio of two speeds, up to 2, over the time 50.
    assert float(exponents[0, 0]) == pytest.approx(0.0, abs=0.02)
    # The trapezoidal rule with steps of 0.05 is off by a few thousandths of the divergence, which is of size one.
    assert float(exponents.sum()) == pytest.approx(float(mean), abs=5e-3)


@pytest.mark.parametrize(
    ("field", "solver"),
    [
        (AntisymmetricField(2, 6, sigma_w=2.0, dtype=DOUBLE), ImplicitMidpoint()),
        (HamiltonianField(2, 6, dtype=DOUBLE), Leapfrog()),
    ],
    ids=["antisymmetric", "hamiltonian"],
)
def test_exponents_of_a_symplectic_map_come_in_pairs(field: VectorField, solver: Solver) -> None:
    rnn = ODERNN(field, solver, dt=0.1)
    exponents = lyapunov_exponents(rnn, torch.randn(100, 2, 2, dtype=DOUBLE), every=5)
    # The determinant is 1 exactly, so the sum is rounding; that they pair up holds in the limit, here to 1 / T.
    torch.testing.assert_close(exponents.sum(-1), torch.zeros(2, dtype=DOUBLE), rtol=0, atol=1e-11)
    torch.testing.assert_close(exponents, -exponents.flip(-1), rtol=0, atol=0.2)


@pytest.mark.parametrize("every", [1, 4, 100])
@pytest.mark.parametrize("solver", [RK4(), Euler()], ids=str)
def test_their_sum_is_the_determinant(every: int, solver: Solver) -> None:
    torch.manual_seed(1)
    dt = 0.1 + 0.1 * torch.rand(3, 30, dtype=DOUBLE)
    rnn = ODERNN(AntisymmetricField(2, 6, damping=0.2, dtype=DOUBLE), solver, dt=dt)
    x, y0 = torch.randn(30, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 6, dtype=DOUBLE)
    determinant = torch.linalg.slogdet(end_to_end_jacobian(rnn, x, y0)).logabsdet
    exponents = lyapunov_exponents(rnn, x, y0, every=every)
    torch.testing.assert_close(exponents.sum(-1), determinant / dt.sum(-1))


@pytest.mark.parametrize(("solver", "parts"), [(AdamsBashforth3(), 3), (ReversibleHeun(), 2)], ids=str)
def test_a_solver_with_a_carry_has_the_exponents_of_its_whole_state(solver: Solver, parts: int) -> None:
    """Those of its roots, log |r| / dt: the field's, and the parasitic ones that belong to no mode of it."""
    omega, dt = 2.0, 0.1
    z = 1j * dt * omega
    polynomial = {3: [1, -(1 + 23 / 12 * z), 16 / 12 * z, -5 / 12 * z], 2: [1, -2 * z, -1]}[parts]
    companion = torch.zeros(parts, parts, dtype=torch.complex128)
    companion[0] = -torch.tensor(polynomial[1:])
    companion[range(1, parts), range(parts - 1)] = 1
    roots = torch.linalg.eigvals(companion).abs().log().sort(descending=True).values / dt
    rnn = ODERNN(rotation(omega, 0.0), solver, dt=dt)
    exponents = lyapunov_exponents(rnn, torch.zeros(600, 1, 1, dtype=DOUBLE), skip=100)
    assert exponents.shape == (1, 2 * parts)
    # Each root belongs to +omega and -omega. The frame turns in the end, which leaves some 1 / (time 50).
    torch.testing.assert_close(exponents[0, ::2], roots, rtol=0, atol=0.03)


def test_a_direction_that_is_lost_has_minus_infinity() -> None:
    """Euler with dt = 1 on y' = -y: one step forgets the state."""
    rnn = ODERNN(Saddles([-1.0, -0.5]), Euler(), dt=1.0)
    exponents = lyapunov_exponents(rnn, torch.zeros(4, 1, 1, dtype=DOUBLE))
    assert float(exponents[0, 1]) == -float("inf")


def test_single_precision_and_double_by_option() -> None:
    field = AntisymmetricField(2, 6)
    rnn = ODERNN(field, Euler(), dt=0.1)
    x = torch.randn(30, 2)
    exponents = lyapunov_exponents(rnn, x)
    assert exponents.shape == (1, 6)
    assert exponents.dtype == torch.float32
    torch.testing.assert_close(exponents, lyapunov_exponents(rnn, x, dtype=DOUBLE).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"every": 0}, ValueError, "`every` is 0; give a whole number from 1"),
        ({"skip": 5}, ValueError, "`skip` is 5 and `x` has 5 samples; give a number from 0 below that"),
        ({"skip": -1}, ValueError, "`skip` is -1"),
        ({"skip": 1.5}, TypeError, "`skip` is 1.5"),
        ({"rnn": None}, TypeError, "`rnn` is NoneType"),
    ],
)
def test_bad_arguments_are_named(change: dict, error: type[Exception], said: str) -> None:
    arguments = {"rnn": ODERNN(AntisymmetricField(2, 6), Euler(), dt=0.1), "x": torch.zeros(5, 3, 2)} | change
    with pytest.raises(error, match=said):
        lyapunov_exponents(**arguments)


def test_an_input_too_short_for_the_start_of_a_solver_is_named() -> None:
    rnn = ODERNN(AntisymmetricField(2, 6), AdamsBashforth3(), dt=0.1)
    with pytest.raises(ValueError, match="`x` has 2 samples and the solver needs them all to start"):
        lyapunov_exponents(rnn, torch.zeros(2, 1, 2))
