"""Adams-Bashforth methods: their weights on uneven steps, their start-up, their order and where they lose it."""

from itertools import pairwise
from math import log2

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField, VectorField
from solvers import RK4, AdamsBashforth2, AdamsBashforth3, Solver, integrate

METHODS = [AdamsBashforth2(), AdamsBashforth3()]
MATRIX = torch.tensor([[0.0, 1.3, -0.4], [-1.3, 0.0, 0.8], [0.4, -0.8, -0.1]], dtype=torch.float64)
START = torch.tensor([[0.5, -0.3, 0.8], [1.0, 0.1, -0.6]], dtype=torch.float64)


def driven(t: float | Tensor, y: Tensor) -> Tensor:
    """Nonlinear, and time enters in and outside the nonlinearity."""
    t = torch.as_tensor(t, dtype=y.dtype)
    return torch.tanh(y @ MATRIX.T + torch.sin(2 * t)) + 0.3 * torch.cos(3 * t)


class Driven(VectorField):
    """The same under a control."""

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: float | Tensor, y: Tensor, u: Tensor) -> Tensor:
        return driven(t, y + u)


def orders(errors: list[float]) -> list[float]:
    return [log2(coarse / fine) for coarse, fine in pairwise(errors)]


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("t1", [2.0, -2.0])
def test_order_through_integrate(solver: Solver, t1: float) -> None:
    exact = integrate(driven, START, t1=t1, dt=2e-3, solver=RK4(), save="end").y
    # The last step is shorter than the others, so the formula for uneven steps is met too.
    errors = [
        float((integrate(driven, START, t1=t1, dt=dt, solver=solver, save="end").y - exact).abs().max())
        for dt in (0.0301, 0.01505, 0.007525)
    ]
    assert orders(errors)[-1] == pytest.approx(solver.order, abs=0.2)


@pytest.mark.parametrize("solver", METHODS)
def test_order_through_the_layer(solver: Solver) -> None:
    # A constant input: across a jump of the control these methods fall to order 1, which the next test shows.
    layer = ODERNN(Driven(3, 3), solver, dt=0.5)
    x = torch.full((4, 2, 3), 0.3, dtype=torch.float64)
    errors = errors_of(layer, x, (16, 32, 64))
    assert orders(errors)[-1] == pytest.approx(solver.order, abs=0.2)


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize(("hold", "order"), [("zero-order", 1), ("linear", 2)])
def test_order_across_jumps_and_kinks(solver: Solver, hold: str, order: int) -> None:
    layer = ODERNN(Driven(3, 3), solver, dt=0.5, hold=hold)
    errors = errors_of(layer, torch.randn(5, 2, 3, dtype=torch.float64), (64, 128, 256))
    assert orders(errors)[-1] == pytest.approx(order, abs=0.2)


def errors_of(layer: ODERNN, x: Tensor, substeps: tuple[int, ...]) -> list[float]:
    y0 = START.unsqueeze(0)
    exact = layer.with_solver(RK4(), substeps=200)(x, y0)[0]
    return [float((layer.with_solver(layer.solver, substeps=k)(x, y0)[0] - exact).abs().max()) for k in substeps]


@pytest.mark.parametrize("solver", METHODS)
def test_exact_for_polynomials_on_uneven_steps(solver: Solver) -> None:
    # The slope is a polynomial in time of the degree that the method interpolates: no error on any grid.
    degree = solver.order - 1
    t, y, memory = 0.0, torch.zeros(1, dtype=torch.float64), ()
    for dt in (0.3, 0.1, 0.7, 0.25, 0.25, 0.4):
        y, memory = solver.step(lambda t, y: torch.full_like(y, t**degree), t, dt, y, memory)
        t += dt
    assert float(y) == pytest.approx(t ** (degree + 1) / (degree + 1), rel=1e-14)


@pytest.mark.parametrize(
    ("solver", "weights"),
    [(AdamsBashforth2(), (3 / 2, -1 / 2)), (AdamsBashforth3(), (23 / 12, -16 / 12, 5 / 12))],
)
def test_weights_on_even_steps(solver: Solver, weights: tuple[float, ...]) -> None:
    one, *slopes = torch.eye(len(weights), dtype=torch.float64)
    memory = tuple(part for slope in slopes for part in (slope, 0.1))
    y, _ = solver.step(lambda t, y: one, 0.0, 0.1, torch.zeros_like(one), memory)
    assert (y / 0.1).tolist() == pytest.approx(weights, rel=1e-14)


@pytest.mark.parametrize(
    ("solver", "times"),
    [
        (AdamsBashforth2(), [0, 1, 1, 2, 3]),  # a step of Heun, then one evaluation a step
        (AdamsBashforth3(), [0, 0.5, 1, 1, 1.5, 2, 2, 3]),  # two steps of Kutta
    ],
)
def test_start_up(solver: Solver, times: list[float]) -> None:
    seen: list[float] = []
    y, memory = START, solver.init(driven, 0.0, 1.0, START)
    assert memory == ()
    for t in (0.0, 1.0, 2.0, 3.0):
        y, memory = solver.step(lambda t, y: seen.append(float(t)) or -y, t, 1.0, y, memory)
    assert seen == pytest.approx(times)


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("z", [-0.3, -0.9, -1.2, 0.5j, 0.2 + 0.4j, -0.4 + 0.7j])
def test_amplification_is_the_measured_growth(solver: Solver, z: complex) -> None:
    y, memory = torch.ones(1, dtype=torch.complex128), ()
    sizes = []
    for _ in range(400):
        y, memory = solver.step(lambda t, y: z * y, 0.0, 1.0, y, memory)
        sizes.append(float(y.abs()))
    # The largest root has pulled away from the others by then, but for a factor of their ratio to the 200th power.
    assert (sizes[399] / sizes[199]) ** (1 / 200) == pytest.approx(float(solver.amplification(z)), rel=2e-3)


def test_stability_on_the_imaginary_axis() -> None:
    axis = 1j * torch.tensor([0.1, 0.7235, 0.7237], dtype=torch.complex128)
    stable = AdamsBashforth3().amplification(axis)
    assert (stable <= 1).tolist() == [True, True, False]
    assert AdamsBashforth2().amplification(axis).tolist()[0] == pytest.approx(1 + 0.1**4 / 4, abs=1e-6)


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("uneven", [False, True])
def test_streaming(solver: Solver, uneven: bool) -> None:
    dt = torch.rand(2, 6, dtype=torch.float64) * 0.3 + 0.1 if uneven else 0.2
    layer = ODERNN(AntisymmetricField(2, 4, dtype=torch.float64), solver, dt=dt)
    x = torch.randn(6, 2, 2, dtype=torch.float64)
    whole, _ = layer(x)
    for cut in range(1, 6):
        parts = [part if isinstance(dt, float) else dt[:, part] for part in (slice(cut), slice(cut, None))]
        first, state = layer(x[:cut], layer.initial_state(2), dt=None if isinstance(dt, float) else parts[0])
        second, _ = layer(x[cut:], state, dt=None if isinstance(dt, float) else parts[1])
        assert torch.allclose(torch.cat((first, second)), whole, rtol=0, atol=1e-13)


@pytest.mark.parametrize("solver", METHODS)
def test_steps_of_each_sample_equal_runs_of_one_sample(solver: Solver) -> None:
    layer = ODERNN(AntisymmetricField(2, 4, dtype=torch.float64), solver, dt=0.1)
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    dt = torch.rand(3, 5, dtype=torch.float64) * 0.3 + 0.1
    together = layer(x, dt=dt)[0]
    for row in range(3):
        assert torch.allclose(layer(x[:, row], dt=dt[row])[0], together[:, row], rtol=0, atol=1e-13)


@pytest.mark.parametrize("solver", METHODS)
def test_gradients(solver: Solver) -> None:
    layer = ODERNN(AntisymmetricField(2, 3, dtype=torch.float64), solver, dt=0.1)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    y0 = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    dt = (torch.rand(2, 4, dtype=torch.float64) * 0.3 + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda *_: layer(x, y0, dt=dt)[0], (x, y0, dt, *layer.parameters()))
