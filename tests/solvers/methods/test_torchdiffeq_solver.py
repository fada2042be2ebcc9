"""TorchdiffeqSolver: every method, alone and in the layer, against fine steps of our own; its documented ways."""

from collections.abc import Callable
from math import log2
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor

from odernn import ODERNN, GatedAntisymmetricField
from solvers import (
    RK4,
    RK38,
    DivergenceError,
    Euler,
    Heun,
    Heun3,
    Midpoint,
    Solver,
    Structured,
    TorchdiffeqSolver,
    integrate,
)
from tests.pairs import crossed

DOUBLE = torch.float64
# A tolerance, and how many times it the result may be off: it is that of an inner step, and there are up to fifty. The
# estimate of fehlberg2 is dt^2 / 512 times the second derivative, below its error, dt^3, at any usual tolerance.
TOLERANCE = {
    "dopri5": (1e-7, 100),
    "dopri8": (1e-8, 100),
    "bosh3": (1e-5, 100),
    "fehlberg2": (1e-5, 1000),
    "adaptive_heun": (1e-4, 100),
}
ADAPTIVE = tuple(TOLERANCE)
OURS: dict[str, Solver] = {"euler": Euler(), "midpoint": Midpoint(), "heun2": Heun(), "heun3": Heun3(), "rk4": RK38()}
ADAMS = ("explicit_adams", "implicit_adams")


def layer(solver: Solver, substeps: int = 1, hold: str = "linear", seed: int = 0) -> ODERNN:
    torch.manual_seed(seed)
    return ODERNN(
        GatedAntisymmetricField(2, 4, damping=0.1, dtype=DOUBLE), solver, dt=0.4, substeps=substeps, hold=hold
    )


@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("method", ADAPTIVE)
def test_an_adaptive_method_in_the_layer_is_a_fine_rk4_to_its_tolerance(method: str, hold: str) -> None:
    x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 4, dtype=DOUBLE)
    dt = 0.2 + torch.rand(3, 5, dtype=DOUBLE)
    tolerance, factor = TOLERANCE[method]
    with torch.no_grad():
        exact, _ = layer(RK4(), substeps=50, hold=hold)(x, y0, dt=dt)
        ours, _ = layer(TorchdiffeqSolver(method, rtol=tolerance, atol=tolerance), hold=hold)(x, y0, dt=dt)
    torch.testing.assert_close(ours, exact, rtol=0, atol=factor * tolerance)


@pytest.mark.parametrize("method", OURS)
def test_a_fixed_step_method_is_ours(method: str, nonlinear: Structured, start: Tensor) -> None:
    """On a non-autonomous problem, forward and backward in time: the scaled time must be the time."""
    for end in (1.5, -1.5):
        theirs = integrate(nonlinear, start, t0=0.2, t1=end, dt=0.1, solver=TorchdiffeqSolver(method))
        ours = integrate(nonlinear, start, t0=0.2, t1=end, dt=0.1, solver=OURS[method])
        torch.testing.assert_close(theirs.y, ours.y, rtol=0, atol=1e-13)  # 17 steps of rounding
    halves = integrate(nonlinear, start, t1=1.5, dt=0.1, solver=TorchdiffeqSolver(method, steps=2), save="end")
    ours = integrate(nonlinear, start, t1=1.5, dt=0.05, solver=OURS[method], save="end")
    torch.testing.assert_close(halves.y, ours.y, rtol=0, atol=1e-13)


LOOSE = {"dopri5": 0.1, "dopri8": 0.2, "bosh3": 0.05, "fehlberg2": 0.04, "adaptive_heun": 0.04}


STEPPED: dict[str, tuple[TorchdiffeqSolver, float]] = {
    # so loose a tolerance that every first attempt, at the whole step, is accepted
    **{name: (TorchdiffeqSolver(name, rtol=1e3, atol=1e3), dt) for name, dt in LOOSE.items()},
    **{name: (TorchdiffeqSolver(name), 0.04) for name in OURS if name != "euler"},
    **{name: (TorchdiffeqSolver(name, steps=6), 0.2) for name in ADAMS},
}
ENDS = {"forward": 2.0, "backward": -2.0}


@pytest.fixture(scope="module")
def exact(nonlinear: Structured, start: Tensor) -> dict[str, Tensor]:
    """The solution at each end."""
    strict = TorchdiffeqSolver("dopri8", rtol=1e-13, atol=1e-13)
    return {way: integrate(nonlinear, start, t1=end, dt=0.1, solver=strict, save="end").y for way, end in ENDS.items()}


# Backward in time the wrapper hands all methods the same scaled time: dopri8 goes that way.
@crossed({"method": list(STEPPED), "way": list(ENDS)}, strength=1)
def test_order(method: str, way: str, nonlinear: Structured, start: Tensor, exact: dict[str, Tensor]) -> None:
    solver, dt = STEPPED[method]
    ends = [integrate(nonlinear, start, t1=ENDS[way], dt=each, solver=solver, save="end").y for each in (dt, dt / 2)]
    errors = [torch.linalg.vector_norm(end - exact[way]) for end in ends]
    # the next term of the error; at order 8 rounding is reached while it still shows
    assert abs(log2(errors[0] / errors[1]) - solver.order) < (0.5 if solver.order == 8 else 0.3)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_evaluations_are_counted_and_lie_within_the_step(method: str, nonlinear: Structured, start: Tensor) -> None:
    """torchdiffeq left to itself steps over the end and interpolates: it asks for f beyond the sample."""
    times: list[float] = []

    def f(t: float, y: Tensor) -> Tensor:
        times.append(t)
        return nonlinear(t, y)

    loose = TorchdiffeqSolver(method, rtol=1e3, atol=1e3)
    loose.step(f, 0.5, 0.25, start, ())
    assert len(times) == loose.num_evals
    TorchdiffeqSolver(method, rtol=1e-6, atol=1e-6).step(f, 0.5, 0.25, start, ())
    assert all(isinstance(t, float) for t in times)
    assert min(times) == 0.5
    assert max(times) <= 0.75


def arguments(field: torch.nn.Module) -> tuple[Tensor, ...]:
    """x, y0, dt (batch, time) and the parameters."""
    dt = torch.tensor([[0.3, 0.5], [0.4, 0.2]], dtype=DOUBLE)
    given = (torch.randn(2, 2, 2, dtype=DOUBLE), torch.randn(1, 2, 3, dtype=DOUBLE), dt, *field.parameters())
    return tuple(each.detach().clone().requires_grad_() for each in given)


def end(field: torch.nn.Module, solver: Solver, substeps: int = 1) -> Callable[..., Tensor]:
    """The last state as a function of all arguments."""
    rnn = ODERNN(field, solver, dt=0.4, substeps=substeps, hold="linear", on_divergence="ignore")
    names = [f"field.{name}" for name, _ in field.named_parameters()]

    def call(x: Tensor, y0: Tensor, dt: Tensor, *parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(rnn, values, (x, y0), {"dt": dt, "save": "end"})[1]

    return call


@pytest.mark.parametrize("method", [*ADAPTIVE, "rk4", *ADAMS])
def test_gradients_are_those_of_the_steps(method: str) -> None:
    """With so loose a tolerance that no difference of arguments changes what is accepted."""
    solver = TorchdiffeqSolver(method, rtol=1e3, atol=1e3, steps=3 if method in ADAMS else 1)
    field = GatedAntisymmetricField(2, 3, damping=0.1, dtype=DOUBLE)
    assert torch.autograd.gradcheck(end(field, solver), arguments(field), fast_mode=True)


def test_gradients_under_step_size_control_are_those_of_the_flow() -> None:
    field = GatedAntisymmetricField(2, 3, damping=0.1, dtype=DOUBLE)
    given = arguments(field)
    solvers = ((TorchdiffeqSolver(rtol=1e-9, atol=1e-9), 1), (RK4(), 50))
    controlled, fine = (torch.autograd.grad(end(field, *each)(*given).sin().sum(), given) for each in solvers)
    for got, wanted in zip(controlled, fine, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-7)  # the tolerance, over a few inner steps


def test_samples_share_their_steps_and_agree_to_the_tolerance() -> None:
    x, y0 = torch.randn(4, 8, 2, dtype=DOUBLE), torch.randn(1, 8, 4, dtype=DOUBLE)
    rnn = layer(TorchdiffeqSolver(rtol=1e-8, atol=1e-8))
    together, _ = rnn(x, y0)
    alone = torch.cat([rnn(x[:, [k]], y0[:, [k]])[0] for k in range(8)], dim=1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_late_times_in_single_precision_keep_their_digits() -> None:
    """In torchdiffeq itself, t would be float32, and 1e5 + 0.01 has two digits left of its step."""

    def f(t: float, y: Tensor) -> Tensor:
        return torch.full_like(y, t - 1e5)

    y = integrate(f, torch.zeros(2), t0=1e5, t1=1e5 + 0.01, dt=0.01, solver=TorchdiffeqSolver(), save="end").y
    torch.testing.assert_close(y, torch.full((2,), 0.5e-4), rtol=1e-5, atol=0)


def test_complex_states() -> None:
    z = torch.tensor([-0.3 + 2j, 1j], dtype=torch.complex128)
    y = integrate(lambda t, y: z * y, torch.ones_like(z), t1=1.0, dt=0.5, solver=TorchdiffeqSolver(), save="end").y
    torch.testing.assert_close(y, torch.exp(z), rtol=1e-6, atol=0)


@pytest.mark.parametrize("z", [0.1 + 0.3j, -0.2 + 0.5j, -2.0 + 0j, 3j])
def test_amplification(z: complex) -> None:
    for solver in (TorchdiffeqSolver(), TorchdiffeqSolver("rk4"), TorchdiffeqSolver("heun3", steps=3)):
        y = torch.tensor([0.6 + 0.1j, 0.3 - 0.4j], dtype=torch.complex128)
        y1, _ = solver.step(lambda t, y: z * y, 0.0, 1.0, y, ())
        growth = torch.linalg.vector_norm(y1) / torch.linalg.vector_norm(y)
        torch.testing.assert_close(growth, solver.amplification(z), rtol=1e-6, atol=1e-7)  # its tolerance
        assert solver.amplification(torch.full((2, 3), z)).shape == (2, 3)


def test_a_blow_up_is_a_divergence_like_any_other() -> None:
    """y' = y^2 from 1.1 ends at t = 0.91; torchdiffeq itself says "underflow in dt"."""
    with pytest.raises(AssertionError, match="underflow"):
        torchdiffeq.odeint(lambda t, y: y * y, torch.ones(1), torch.tensor([0.0, 2.0]))
    with pytest.raises(DivergenceError, match="at step 10") as caught:
        integrate(
            lambda t, y: y * y, torch.full((1,), 1.1), t1=2.0, dt=0.1, solver=TorchdiffeqSolver(rtol=1e-3, atol=1e-3)
        )
    assert caught.value.time == pytest.approx(1.0)


def test_an_assertion_of_the_right_hand_side_is_not_taken_for_a_divergence() -> None:
    def f(t: float, y: Tensor) -> Tensor:
        assert t < 0.5, "the field ends at 0.5"
        return y

    with pytest.raises(AssertionError, match="the field ends"):
        integrate(f, torch.ones(1), t1=1.0, dt=0.5, solver=TorchdiffeqSolver())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "scipy_solver"}, ValueError, "choose one of 'dopri5'"),
        ({"rtol": 0.0}, ValueError, "`rtol` is 0.0"),
        ({"atol": "small"}, TypeError, "`atol` is 'small'"),
        ({"steps": 0, "method": "rk4"}, ValueError, "`steps` is 0"),
        ({"steps": 3}, ValueError, "chooses its own"),
        ({"method": "implicit_adams", "steps": 2}, ValueError, "give 3 or more"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        TorchdiffeqSolver(**arguments)


@pytest.mark.parametrize(
    ("method", "evaluations"), [(name, OURS[name].num_evals * 5) for name in OURS] + [("explicit_adams", 4 * 2 + 3)]
)
def test_evaluations_of_five_inner_steps(method: str, evaluations: float) -> None:
    """An Adams method starts with two steps of the 3/8 rule."""
    times: list[float] = []
    solver = TorchdiffeqSolver(method, steps=5)
    solver.step(lambda t, y: times.append(float(t)) or -y, 0.0, 0.1, torch.ones(1, dtype=DOUBLE), ())
    assert len(times) == solver.num_evals == evaluations
