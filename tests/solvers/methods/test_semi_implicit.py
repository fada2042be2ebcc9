"""A kick that sees its own half, kick(t, q, p): semi-implicit Euler, and a clear refusal everywhere else."""

import pytest
import torch
from torch import Tensor

from solvers import (
    Adjoint,
    Checkpointed,
    Continuous,
    Partition,
    Reversible,
    Structured,
    SymplecticEuler,
    TorchdiffeqSolver,
    integrate,
)
from solvers.extend import Time

DOUBLE = torch.float64
DT, STEPS = 0.1, 20
ROUNDING = {"rtol": 1e-12, "atol": 1e-13}  # twenty steps of the same operations, in another order at most


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """The state at the start, the friction and the stiffness."""
    generator = torch.Generator().manual_seed(0)
    y0 = torch.randn(3, 4, dtype=DOUBLE, generator=generator)
    return tuple(x.requires_grad_() for x in (y0, torch.tensor(0.4, dtype=DOUBLE), torch.tensor(1.3, dtype=DOUBLE)))  # pyright: ignore[reportReturnType]


def drift(t: Time, p: Tensor) -> Tensor:
    return torch.tanh(p) * (1 + 0.5 * t)


def system(friction: Tensor, stiffness: Tensor) -> Partition:
    def kick(t: Time, q: Tensor, p: Tensor) -> Tensor:
        return -stiffness * torch.sin(q) - friction * p * p * p + 0.3 * t

    return Partition(drift, kick, kick_sees_p=True)


def loop(y0: Tensor, friction: Tensor, stiffness: Tensor) -> Tensor:
    """p <- p + dt kick(t, q, p) and q <- q + dt drift(t, p) with the new p, as written."""
    (q, p), path = y0.chunk(2, dim=-1), [y0]
    for n in range(STEPS):
        t = torch.tensor(n * DT, dtype=DOUBLE)
        p = p + DT * (-stiffness * torch.sin(q) - friction * p**3 + 0.3 * t)
        q = q + DT * torch.tanh(p) * (1 + 0.5 * t)
        path.append(torch.cat((q, p), dim=-1))
    return torch.stack(path)


@pytest.mark.parametrize("adjoint", ["autograd", "checkpointed", Checkpointed(every=3)], ids=str)
@pytest.mark.parametrize("structured", [False, True], ids=["partition", "structured"])
def test_it_is_the_loop_by_hand_with_its_gradients(adjoint: Adjoint | str, structured: bool) -> None:
    y0, friction, stiffness = inputs()
    partition = system(friction, stiffness)
    f = Structured(partition, partition=partition) if structured else partition
    path = integrate(f, y0, t1=DT * STEPS, dt=DT, solver="symplectic-euler", adjoint=adjoint).y
    wanted = loop(y0, friction, stiffness)
    torch.testing.assert_close(path, wanted, **ROUNDING)
    ours, by_hand = (torch.autograd.grad(y.sin().sum(), (y0, friction, stiffness)) for y in (path, wanted))
    torch.testing.assert_close(ours, by_hand, **ROUNDING)


def test_the_continuous_adjoint_is_the_gradient_of_the_flow() -> None:
    """Of order 1 between the stored states: it comes to autograd's as the step falls, by a half each time."""
    errors = []
    for halvings in (4, 5):
        y0, friction, stiffness = inputs()
        ends = [
            integrate(system(friction, stiffness), y0, t1=1.0, dt=0.5**halvings, solver=SymplecticEuler(), adjoint=way)
            for way in (Continuous(TorchdiffeqSolver("rk4", steps=1)), "autograd")
        ]
        ours, by_hand = (torch.autograd.grad(end.y[-1].sin().sum(), (y0, friction, stiffness)) for end in ends)
        errors.append(sum(float((one - other).norm()) for one, other in zip(ours, by_hand, strict=True)))
    assert 1.8 < errors[0] / errors[1] < 2.2  # 2, but for the term of second order


def test_it_has_order_one() -> None:
    y0, friction, stiffness = (x.detach() for x in inputs())
    f = system(friction, stiffness)
    exact = integrate(f, y0, t1=1.0, dt=0.01, solver="rk4", save="end").y
    errors = [
        float((integrate(f, y0, t1=1.0, dt=dt, solver="symplectic-euler", save="end").y - exact).norm())
        for dt in (0.02, 0.01)
    ]
    assert 1.9 < errors[0] / errors[1] < 2.1  # 2, but for the term of second order


@pytest.mark.parametrize("name", ["leapfrog", "yoshida4"])
def test_other_compositions_refuse_such_a_kick(name: str) -> None:
    y0, friction, stiffness = inputs()
    with pytest.raises(ValueError, match=r"`kick_sees_p` is true of Partition, and .* takes a kick of t and q only"):
        integrate(system(friction, stiffness), y0, t1=1.0, dt=0.1, solver=name)


@pytest.mark.parametrize("name", ["rk4", "implicit-midpoint", "reversible-heun"])
def test_methods_for_any_field_take_the_whole(name: str) -> None:
    y0, friction, stiffness = (x.detach() for x in inputs())
    f = system(friction, stiffness)
    ends = [
        integrate(g, y0, t1=1.0, dt=0.1, solver=name, save="end").y
        for g in (f, lambda t, y: torch.cat((drift(t, y[:, 2:]), f.kick(t, y[:, :2], y[:, 2:])), dim=-1))
    ]
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-10)  # Newton's iterations end within 1e-12 of the root


def test_such_a_step_is_not_undone() -> None:
    y0, friction, stiffness = inputs()
    f = system(friction, stiffness)
    for call in (
        lambda: integrate(f, y0, t1=1.0, dt=0.1, solver="symplectic-euler", adjoint=Reversible()),
        lambda: SymplecticEuler().inverse_step(f, 0.0, 0.1, y0, (), None),
    ):
        with pytest.raises(ValueError, match=r"`kick_sees_p` is true .* no inverse in closed form: .*'checkpointed'"):
            call()


@pytest.mark.parametrize("sees", [1, None, "yes"])
def test_the_flag_is_one(sees: object) -> None:
    with pytest.raises(TypeError, match="`kick_sees_p`"):
        Partition(drift, drift, kick_sees_p=sees)  # pyright: ignore[reportArgumentType]
