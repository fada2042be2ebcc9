"""The stochastic methods: strong order on common Brownian paths, no noise to the bit, seeds, moments, torchsde."""

from collections.abc import Callable
from math import exp, log2, sqrt
from typing import Any

import pytest
import torch
import torchsde
from torch import Tensor

from solvers import (
    RK4,
    Checkpointed,
    Diffusion,
    Euler,
    EulerMaruyama,
    Heun,
    Solver,
    StochasticHeun,
    StochasticSolver,
    Structured,
    integrate,
    make_solver,
    sde_paths,
)
from solvers.extend import Time

DOUBLE = torch.float64
NAMES = ("euler-maruyama", "stochastic-heun")
FINEST = 2**-8
PATHS = 1000


def drift(t: Time, y: Tensor) -> Tensor:
    """Nonlinear and non-autonomous."""
    return torch.sin(y) * (1 + 0.5 * t) - 0.5 * y


def multiplicative(t: Time, y: Tensor) -> Tensor:
    return 0.3 + 0.4 * y * (1 + 0.3 * t)


def additive(t: Time, y: Tensor) -> Tensor:
    return torch.full_like(y, 0.5 + 0.4 * t)


def ito_drift(t: Time, y: Tensor) -> Tensor:
    """The drift in Ito's sense of the equation that `drift` and `multiplicative` make in Stratonovich's."""
    return drift(t, y) + 0.5 * 0.4 * (1 + 0.3 * t) * multiplicative(t, y)


@pytest.fixture(scope="module")
def brownian() -> Tensor:
    """W at the multiples of FINEST up to 1, for every path."""
    generator = torch.Generator().manual_seed(5)
    steps = torch.randn(round(1 / FINEST), PATHS, 1, dtype=DOUBLE, generator=generator) * sqrt(FINEST)
    return torch.cat((torch.zeros(1, PATHS, 1, dtype=DOUBLE), steps.cumsum(0)))


def end(solver: Solver, f: Callable[..., Tensor], g: Callable[..., Tensor], w: Tensor, dt: float) -> Tensor:
    """The states at t = 1 along the given paths."""

    def increments(t: Time, dt: Time, y: Tensor) -> Tensor:
        return w[round((t + dt) / FINEST)] - w[round(t / FINEST)]

    equation = Structured(f, diffusion=Diffusion(g, increments=increments))
    y0 = torch.full_like(w[0], 0.5)
    return integrate(equation, y0, t1=1.0, dt=dt, solver=solver, save="end").y


@pytest.mark.parametrize(
    ("solver", "f", "g", "order"),
    [
        (EulerMaruyama(), ito_drift, multiplicative, EulerMaruyama.strong_order),
        (EulerMaruyama(), drift, additive, 1.0),
        (StochasticHeun(), drift, multiplicative, StochasticHeun.strong_order),
        (StochasticHeun(), drift, additive, 1.0),
    ],
    ids=["euler-maruyama", "euler-maruyama-additive", "stochastic-heun", "stochastic-heun-additive"],
)
def test_strong_order(solver: Solver, f: Any, g: Any, order: float, brownian: Tensor) -> None:
    """Against stochastic Heun at the finest step, whose own error is far below, on the same paths.

    The slope over three halvings; the errors are of the same 1000 paths, each known to some 4%, the slope to 0.03.
    """
    exact = end(StochasticHeun(), drift, g, brownian, FINEST)
    errors = [float((end(solver, f, g, brownian, 2.0**-k) - exact).abs().mean()) for k in (3, 6)]
    assert abs(log2(errors[0] / errors[1]) / 3 - order) < 0.2


def test_one_step_by_hand() -> None:
    """Every stage at its own time: a wrong one leaves the strong order as it is."""
    noise, y, t, dt = torch.tensor([0.3, -0.2], dtype=DOUBLE), torch.tensor([0.5, 0.8], dtype=DOUBLE), 0.7, 0.1
    equation = Structured(drift, diffusion=Diffusion(multiplicative, increments=lambda t, dt, y: noise))
    ahead = y + dt * drift(t, y) + multiplicative(t, y) * noise
    torch.testing.assert_close(EulerMaruyama().step(equation, t, dt, y, ())[0], ahead)
    slope = 0.5 * (drift(t, y) + drift(t + dt, ahead))
    scale = 0.5 * (multiplicative(t, y) + multiplicative(t + dt, ahead))
    torch.testing.assert_close(StochasticHeun().step(equation, t, dt, y, ())[0], y + dt * slope + scale * noise)


@pytest.mark.parametrize("name", NAMES)
def test_without_noise_it_is_the_deterministic_method_to_the_bit(name: str) -> None:
    plain = {"euler-maruyama": Euler(), "stochastic-heun": Heun()}[name]
    silent = Structured(drift, diffusion=Diffusion(multiplicative, active=False))
    y0 = torch.randn(3, 2, dtype=DOUBLE)
    ours = integrate(silent, y0, t1=1.0, dt=0.1, solver=make_solver(name))
    assert torch.equal(ours.y, integrate(drift, y0, t1=1.0, dt=0.1, solver=plain).y)
    assert ours.carry == ()
    z = torch.tensor([0.3 + 1j, -2 + 0j], dtype=torch.complex128)
    assert torch.equal(make_solver(name).amplification(z), plain.amplification(z))


@pytest.mark.parametrize("name", NAMES)
def test_seeds(name: str) -> None:
    """The global generator or one's own; every run draws anew; a step is a pure function of its carry."""
    solver, y0 = make_solver(name), torch.randn(3, 2, dtype=DOUBLE)

    def run(generator: torch.Generator | None = None) -> Tensor:
        equation = Structured(drift, diffusion=Diffusion(multiplicative, generator=generator))
        return integrate(equation, y0, t1=1.0, dt=0.1, solver=solver).y

    torch.manual_seed(1)
    first, second = run(), run()
    torch.manual_seed(1)
    assert torch.equal(run(), first)
    assert not torch.equal(second, first)
    own = run(torch.Generator().manual_seed(1))
    assert torch.equal(run(torch.Generator().manual_seed(1)), own)
    equation = Structured(drift, diffusion=Diffusion(multiplicative))
    carry = solver.init(equation, 0.0, 0.1, y0)
    once, twice = (solver.step(equation, 0.0, 0.1, y0, carry) for _ in range(2))
    assert torch.equal(once[0], twice[0])
    assert once[1] == twice[1] != carry


@pytest.mark.parametrize("name", NAMES)
def test_increments_are_independent_and_of_variance_dt(name: str) -> None:
    """With no drift and g = 1 the path is the Brownian motion itself."""
    still = Structured(lambda t, y: torch.zeros_like(y), diffusion=Diffusion(lambda t, y: torch.ones_like(y)))
    path = integrate(still, torch.zeros(4000, 2, dtype=DOUBLE), t1=1.0, dt=0.25, solver=make_solver(name)).y
    steps = path.diff(dim=0).permute(0, 2, 1).reshape(8, 4000)  # 4 steps of 2 units
    covariance = steps @ steps.T / 4000
    # an entry has a standard error of at most 0.25 sqrt(2 / 4000) = 0.0056: four of these
    torch.testing.assert_close(covariance, 0.25 * torch.eye(8, dtype=DOUBLE), rtol=0, atol=0.022)
    assert steps.mean(dim=1).abs().max() < 4 * sqrt(0.25 / 4000)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_for_each_sample(name: str) -> None:
    """The noise of a sample scales with its own step."""
    still = Structured(lambda t, y: torch.zeros_like(y), diffusion=Diffusion(lambda t, y: torch.ones_like(y)))
    dt = torch.tensor([[0.04], [0.36]], dtype=DOUBLE)
    solver, y0 = make_solver(name), torch.zeros(2, 5000, dtype=DOUBLE)
    y, _ = solver.step(still, 0.0, dt, y0, solver.init(still, 0.0, dt, y0))
    torch.testing.assert_close(y.std(dim=1), dt.squeeze(1).sqrt(), rtol=0.04, atol=0)  # four standard errors


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("adjoint", ["autograd", Checkpointed(3)], ids=["autograd", "checkpointed"])
def test_gradients(name: str, adjoint: Any) -> None:
    def call(y0: Tensor, rate: Tensor, scale: Tensor) -> Tensor:
        torch.manual_seed(4)
        equation = Structured(lambda t, y: rate * torch.sin(y), diffusion=Diffusion(lambda t, y: scale * y))
        return integrate(equation, y0, t1=1.0, dt=0.1, solver=make_solver(name), adjoint=adjoint, save="end").y

    arguments = [torch.randn(*shape, dtype=DOUBLE).requires_grad_() for shape in ((3, 2), (2,), (2,))]
    assert torch.autograd.gradcheck(call, tuple(arguments))


RATE, SCALE, T = 0.4, 0.5, 1.0


@pytest.mark.parametrize(
    ("calculus", "method"),
    [
        *(("ito", method) for method in (None, "srk", "milstein", "euler")),
        *(("stratonovich", method) for method in (None, "milstein", "heun", "euler_heun", "reversible_heun")),
    ],
)
def test_paths_of_torchsde_follow_geometric_brownian_motion(calculus: str, method: str | None) -> None:
    """dy = a y dt + b y dW: y = exp((a - b^2/2) t + b W) in Ito's sense, exp(a t + b W) in Stratonovich's."""
    y0 = torch.ones(200, 1, dtype=DOUBLE)
    levy = "space-time" if method in (None, "srk") and calculus == "ito" else "none"
    w = torchsde.BrownianInterval(0.0, T, size=(200, 1), dtype=DOUBLE, entropy=7, levy_area_approximation=levy)
    equation = Structured(lambda t, y: RATE * y, diffusion=Diffusion(lambda t, y: SCALE * y))
    paths = sde_paths(equation, y0, [0.0, 0.5, T], dt=0.01, calculus=calculus, method=method, brownian=w)
    shift = 0.5 * SCALE**2 if calculus == "ito" else 0.0
    end = w(0.0, T)
    assert isinstance(end, Tensor)
    exact = torch.exp((RATE - shift) * T + SCALE * end)
    assert paths.shape == (3, 200, 1)
    # the mean error of a path: order 1/2 for euler, 1 for the others, measured at a third of these
    assert (paths[-1] - exact).abs().mean() < (0.06 if method == "euler" else 0.02)


@pytest.mark.parametrize(("solver", "calculus"), [(EulerMaruyama(), "ito"), (StochasticHeun(), "stratonovich")])
def test_mean_and_variance_of_geometric_brownian_motion(solver: StochasticSolver, calculus: str) -> None:
    """In Ito's sense the mean is exp(a t); in Stratonovich's exp((a + b^2/2) t). By torchsde and by our own method."""
    growth = RATE + (0.5 * SCALE**2 if calculus == "stratonovich" else 0.0)
    mean, variance = exp(growth * T), exp(2 * growth * T) * (exp(SCALE**2 * T) - 1)
    equation = Structured(lambda t, y: RATE * y, diffusion=Diffusion(lambda t, y: SCALE * y))
    y0 = torch.ones(20_000, 1, dtype=DOUBLE)
    ours = integrate(equation, y0, t1=T, dt=0.02, solver=solver, save="end").y
    theirs = sde_paths(equation, y0, [0.0, T], dt=0.02, calculus=calculus, seed=3)[-1]
    for y in (ours, theirs):
        # four standard errors of 20,000 paths, and a weak error of order dt
        assert abs(float(y.mean()) - mean) < 4 * sqrt(variance / 20_000) + 0.01
        assert float(y.var()) == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("solver", [EulerMaruyama(), StochasticHeun()], ids=NAMES)
def test_mean_and_variance_of_an_ornstein_uhlenbeck_process(solver: StochasticSolver) -> None:
    """dy = -y dt + 0.8 dW from 1: mean exp(-t), variance 0.32 (1 - exp(-2 t)), in both senses."""
    equation = Structured(lambda t, y: -y, diffusion=Diffusion(lambda t, y: torch.full_like(y, 0.8)))
    y0 = torch.ones(20_000, 1, dtype=DOUBLE)
    variance = 0.32 * (1 - exp(-2 * T))
    ours = integrate(equation, y0, t1=T, dt=0.01, solver=solver, save="end").y
    theirs = sde_paths(equation, y0, [0.0, T], dt=0.05, seed=3)[-1]
    for y in (ours, theirs):
        assert abs(float(y.mean()) - exp(-T)) < 4 * sqrt(variance / 20_000) + 0.003
        assert float(y.var()) == pytest.approx(variance, rel=0.05)


def test_paths_of_torchsde_have_seeds_and_gradients() -> None:
    rate = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
    equation = Structured(lambda t, y: rate * y, diffusion=Diffusion(lambda t, y: 0.1 * y))

    def run(seed: int | None) -> Tensor:
        return sde_paths(equation, torch.ones(3, 2, dtype=DOUBLE), torch.tensor([0.0, 0.3]), dt=0.1, seed=seed)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    torch.manual_seed(2)
    drawn = run(None)
    torch.manual_seed(2)
    assert torch.equal(run(None), drawn)
    assert float(torch.autograd.grad(drawn.sum(), rate)[0]) == pytest.approx(
        0.3 * float(drawn.detach()[1].sum()), rel=0.05
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_right_hand_side_without_diffusion_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"needs a diffusion.*NoisyField"):
        integrate(drift, torch.ones(2), t1=1.0, dt=0.1, solver=make_solver(name))


NOISY = Structured(drift, diffusion=Diffusion(additive))
GIVEN = Structured(drift, diffusion=Diffusion(additive, increments=lambda t, dt, y: y))


def test_noise_is_never_dropped_in_silence() -> None:
    with pytest.raises(ValueError, match="RK4 has no place for the noise"):
        integrate(NOISY, torch.ones(2), t1=1.0, dt=0.1, solver=RK4())


def test_time_runs_forward() -> None:
    with pytest.raises(ValueError, match="runs forward in time"):
        integrate(NOISY, torch.ones(2), t1=-1.0, dt=0.1, solver=EulerMaruyama())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"f": drift}, ValueError, "declares no diffusion"),
        ({"f": GIVEN}, ValueError, "brownian"),
        ({"y0": torch.ones(2)}, ValueError, r"give floating states \(batch, n\)"),
        ({"ts": [1.0, 0.0]}, ValueError, "times that increase"),
        ({"dt": 0.0}, ValueError, "`dt` is 0.0"),
        ({"calculus": "ito's"}, ValueError, "`calculus`"),
        ({"method": "heun"}, ValueError, "choose one of 'srk'"),
        ({"seed": -1}, ValueError, "`seed`"),
        ({"seed": 1, "brownian": object()}, ValueError, "give one"),
    ],
)
def test_bad_arguments_of_whole_paths(change: dict[str, Any], error: type, message: str) -> None:
    arguments: dict[str, Any] = {"f": NOISY, "y0": torch.ones(2, 1), "ts": [0.0, 1.0], "dt": 0.1} | change
    with pytest.raises(error, match=message):
        sde_paths(**arguments)
