"""Reversible methods: every step is undone, whatever the right-hand side does between steps; growth."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from solvers import (
    SOLVERS,
    AsynchronousLeapfrog,
    LeapfrogMidpoint,
    Midpoint,
    Need,
    Partition,
    ReversibleHeun,
    ReversibleSolver,
    Solver,
    integrate,
)
from solvers.extend import Carry, RightHandSide, Time
from tests.problems import START, driven

METHODS = [ReversibleHeun(), AsynchronousLeapfrog()]
REVERSIBLE = {name: solver() for name, solver in SOLVERS.items() if issubclass(solver, ReversibleSolver)}
TWO_STATES = [LeapfrogMidpoint(), *METHODS]


# --- the methods against their sources ---


def test_reversible_heun_is_that_of_the_paper_where_f_stays() -> None:
    # Algorithm 1 of Kidger et al. (2021) without noise, which carries the slope from step to step.
    dt, y, second = 0.1, START, START
    slope = driven(0.0, START)
    for n in range(20):
        following = 2 * y - second + dt * slope
        following_slope = driven((n + 1) * dt, following)
        y, second, slope = y + 0.5 * dt * (slope + following_slope), following, following_slope
    ours = integrate(driven, START, t1=2.0, dt=dt, solver=ReversibleHeun(), save="end").y
    assert torch.allclose(ours, y, rtol=0, atol=1e-13)


def test_asynchronous_leapfrog_is_the_two_step_midpoint_rule_of_its_middles() -> None:
    # v_next + v = 2 f(middle), so middle_{n+1} - middle_{n-1} = dt (v_{n+1} + v_n) = 2 dt f(middle_n).
    dt, y = 0.1, START
    solver = AsynchronousLeapfrog()
    carry = solver.init(driven, 0.0, dt, y)
    middles = []
    for n in range(8):
        (velocity,) = carry
        assert isinstance(velocity, Tensor)
        middles.append(y + 0.5 * dt * velocity)
        y, carry = solver.step(driven, n * dt, dt, y, carry)
    for n in range(1, 7):
        expected = middles[n - 1] + 2 * dt * driven((n + 0.5) * dt, middles[n])
        assert torch.allclose(middles[n + 1], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("solver", [AsynchronousLeapfrog(), LeapfrogMidpoint()])
def test_the_first_step_is_one_of_the_midpoint_method(solver: Solver) -> None:
    # Their order is blind to a start of order 1: in asynchronous leapfrog the error of the velocity changes its sign
    # every step, and in the two-step rule a step of Euler's method is off by dt^2 once, which is the order of the rule.
    y, _ = solver.step(driven, 0.3, 0.2, START, solver.init(driven, 0.3, 0.2, START))
    assert torch.allclose(y, Midpoint().step(driven, 0.3, 0.2, START, ())[0], rtol=0, atol=1e-15)  # rounding


@pytest.mark.parametrize("solver", METHODS)
def test_evaluations_a_step(solver: Solver) -> None:
    count = [0]

    def counted(t: Time, y: Tensor) -> Tensor:
        count[0] += 1
        return driven(t, y)

    carry = solver.init(counted, 0.0, 0.1, START)
    before = count[0]
    solver.step(counted, 0.0, 0.1, START, carry)
    assert count[0] - before == solver.num_evals


# --- the inverse step ---


def right_hand_sides(solver: Solver, count: int, size: int) -> list[RightHandSide]:
    """One a step, each under a control of its own: they jump as under a zero-order hold."""
    half = size // 2
    k = torch.randn(half, half, dtype=torch.float64) / half**0.5
    zero = torch.zeros_like(k)
    m = torch.cat((torch.cat((zero, -k.T), dim=1), torch.cat((k, zero), dim=1)))

    def one(u: Tensor) -> RightHandSide:
        if solver.needs is not Need.PARTITION:
            return lambda t, y: torch.tanh(y @ m.T + u + torch.sin(torch.as_tensor(t, dtype=y.dtype)))
        return Partition(
            drift=lambda t, p: torch.tanh(u[:half] - p @ k) * torch.cos(torch.as_tensor(t, dtype=p.dtype)),
            kick=lambda t, q: torch.tanh(u[half:] + q @ k.T + torch.sin(torch.as_tensor(t, dtype=q.dtype))),
        )

    return [one(u) for u in torch.randn(count, size, dtype=torch.float64)]


def there_and_back(
    solver: ReversibleSolver, fs: Sequence[RightHandSide], grid: Sequence[tuple[Time, Time]], y0: Tensor
) -> tuple[Tensor, Carry, Tensor, Carry]:
    """The state and carry at the start, and what comes back of them."""
    y, carry = y0, solver.init(fs[0], *grid[0], y0)
    started = carry
    for f, (t, dt) in zip(fs, grid, strict=True):
        y, carry = solver.step(f, t, dt, y, carry)
    for n in reversed(range(len(fs))):
        y, carry = solver.inverse_step(fs[n], *grid[n], y, carry, grid[n - 1][1] if n else None)
    return y0, started, y, carry


def largest_difference(run: tuple[Tensor, Carry, Tensor, Carry]) -> float:
    y0, started, y, carry = run
    assert len(carry) == len(started)
    pairs = [(y0, y), *zip(started, carry, strict=True)]
    return max(float((torch.as_tensor(a) - torch.as_tensor(b)).abs().max()) for a, b in pairs)


def grids(kind: str, count: int, batch: int) -> list[tuple[Time, Time]]:
    steps: list[Time]
    if kind == "per sample":
        steps = list(torch.rand(count, batch, 1, dtype=torch.float64) * 0.2 + 0.05)
    elif kind == "uneven":
        steps = (torch.rand(count) * 0.2 + 0.05).tolist()
    else:
        steps = [-0.1 if kind == "backward" else 0.1] * count
    times: list[Time] = [0.5]
    for step in steps[:-1]:
        times.append(times[-1] + step)
    return list(zip(times, steps, strict=True))


@pytest.mark.parametrize("name", REVERSIBLE)
@pytest.mark.parametrize("kind", ["even", "uneven", "backward", "per sample"])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_inverse_steps_return_to_the_start(name: str, kind: str, count: int) -> None:
    solver = REVERSIBLE[name]
    fs = right_hand_sides(solver, count, 4)
    run = there_and_back(solver, fs, grids(kind, count, 3), torch.randn(3, 4, dtype=torch.float64))
    # Rounding of six steps on numbers of size one; uneven steps divide by squared ratios, at least (0.05 / 0.25)^2.
    assert largest_difference(run) < (1e-14 if kind in ("even", "backward") else 1e-11)


def test_reversible_methods_of_the_registry() -> None:
    assert set(REVERSIBLE) >= {
        "symplectic-euler",
        "leapfrog",
        "yoshida4",
        "leapfrog-midpoint",
        "reversible-heun",
        "asynchronous-leapfrog",
    }


@pytest.mark.parametrize("name", REVERSIBLE)
def test_five_hundred_steps_and_back(name: str) -> None:
    solver = REVERSIBLE[name]
    y0 = torch.randn(4, 16, dtype=torch.float64)
    _, _, y, _ = there_and_back(solver, right_hand_sides(solver, 500, 16), grids("even", 500, 4), y0)
    # What the docstrings state; fifteen other seeds stay below it too.
    assert float((y - y0).norm() / y0.norm()) < (1e-12 if solver.needs is Need.PARTITION else 1e-13)


@pytest.mark.parametrize("solver", TWO_STATES)
def test_damping_amplifies_rounding(solver: ReversibleSolver) -> None:
    def error(steps: int) -> float:
        fs = [lambda t, y: -y] * steps
        y0, _, y, _ = there_and_back(solver, fs, grids("even", steps, 1), torch.randn(1, 16, dtype=torch.float64))
        return float((y - y0).norm() / y0.norm())

    growth = float(solver.amplification(-0.1))
    # Out and back: between once and twice the growth a step over the further hundred steps.
    assert error(200) / error(100) > growth**100
    assert error(200) > 1e-6


# --- amplification ---


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("z", [0.4j, 0.9j, 1.2j, -0.3, 0.2 + 0.4j, -0.5 + 0.3j])
def test_amplification_is_the_spectral_radius_and_the_measured_growth(solver: Solver, z: complex) -> None:
    def f(t: Time, y: Tensor) -> Tensor:
        return z * y

    columns = []
    for y, carried in torch.eye(2, dtype=torch.complex128).unbind(0):
        y, carry = solver.step(f, 0.0, 1.0, y, (carried,))
        columns.append(torch.stack((y, torch.as_tensor(carry[0]))))
    matrix = torch.stack(columns, dim=-1)
    radius = float(solver.amplification(z))
    assert radius == pytest.approx(float(torch.linalg.eigvals(matrix).abs().max()), rel=1e-12)

    y, carry = torch.ones(1, dtype=torch.complex128), (torch.full((1,), 0.3, dtype=torch.complex128),)
    sizes = []
    for _ in range(400):
        y, carry = solver.step(f, 0.0, 1.0, y, carry)
        sizes.append(float(torch.stack((y, torch.as_tensor(carry[0]))).norm()))
    # Two roots of the same modulus beat: within a factor of about 4 after 200 steps, 4^(1/200) = 1.007.
    assert (sizes[399] / sizes[199]) ** (1 / 200) == pytest.approx(radius, rel=8e-3)
