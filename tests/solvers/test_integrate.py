"""integrate(): grids, shapes, dtypes, directions, gradients, and what bad input gets."""

from collections.abc import Callable
from math import exp, inf, nan

import pytest
import torch
from torch import Tensor

from solvers import (
    RK4,
    SOLVERS,
    DivergenceError,
    DivergenceWarning,
    Euler,
    Leapfrog,
    Partition,
    Structured,
    integrate,
    make_solver,
)
from solvers.grid import uniform_grid

SHORT_KICK = Partition(lambda t, p: p, lambda t, q: q[:1])


def decay(t: float, y: Tensor) -> Tensor:
    return -y


def test_trajectory_and_end_agree() -> None:
    y0 = torch.rand(3, 2, dtype=torch.float64)
    trajectory = integrate(decay, y0, t1=1, dt=0.1, solver=RK4())
    end = integrate(decay, y0, t1=1, dt=0.1, solver=RK4(), save="end")
    assert trajectory.y.shape == (11, 3, 2)
    assert trajectory.t.tolist() == pytest.approx([n / 10 for n in range(11)], abs=1e-15)  # multiples, not sums
    assert torch.equal(trajectory.y[0], y0)
    assert torch.equal(trajectory.y[-1], end.y)
    assert end.num_evals == 40


def test_a_step_that_does_not_divide_the_span_ends_on_t1() -> None:
    times = integrate(decay, torch.ones(1), t1=1, dt=0.3, solver=Euler()).t.tolist()
    assert times == pytest.approx([0, 0.3, 0.6, 0.9, 1])
    assert times[-1] == 1


# Rounded, 0.3 / 0.1 lies below 3 and 0.7 / 0.1 below 7; 2.1 / 0.7 lies above 3 and 2.1 / 0.3 above 7.
@pytest.mark.parametrize(("t1", "dt", "steps"), [(0.3, 0.1, 3), (0.7, 0.1, 7), (2.1, 0.7, 3), (2.1, 0.3, 7)])
def test_a_quotient_that_is_whole_but_for_rounding_takes_no_step_more(t1: float, dt: float, steps: int) -> None:
    assert t1 / dt != steps
    assert len(uniform_grid(0.0, t1, dt)) == steps


def test_evaluations_are_those_of_the_solver() -> None:
    partition = Partition(lambda t, p: p, lambda t, q: -q)
    solution = integrate(partition, torch.ones(2), t1=1, dt=0.1, solver=Leapfrog())
    assert solution.num_evals == 10 * Leapfrog.num_evals == 15  # two kicks and a drift, each half of one


@pytest.mark.parametrize("name", SOLVERS)
def test_back_and_forth_returns(name: str, nonlinear: Structured, start: Tensor, suited: Callable) -> None:
    solver = make_solver(name)
    f = suited(nonlinear, solver)
    there = integrate(f, start, t0=0.5, t1=1.0, dt=0.01, solver=solver, save="end").y
    back = integrate(f, there, t0=1.0, t1=0.5, dt=0.01, solver=solver, save="end").y
    # the error of order p of both ways, with a constant below 5 here
    torch.testing.assert_close(back, start, rtol=0, atol=5 * 0.01**solver.order)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bfloat16])
def test_dtype_is_kept(dtype: torch.dtype) -> None:
    y = integrate(decay, torch.ones(2, dtype=dtype), t1=1, dt=0.25, solver=RK4(), save="end").y
    assert y.dtype == dtype
    assert y.abs().to(torch.float64).tolist() == pytest.approx([exp(-1)] * 2, rel=0.02)  # bfloat16 has three digits


def test_runs_on_a_device_without_values() -> None:
    solution = integrate(decay, torch.ones(2, device="meta"), t1=1, dt=0.5, solver=RK4(), on_divergence="ignore")
    assert solution.y.device.type == "meta"
    assert solution.y.shape == (3, 2)


@pytest.mark.parametrize("name", SOLVERS)
def test_gradients_flow_to_the_start_and_the_parameters(
    name: str, nonlinear: Structured, start: Tensor, suited: Callable
) -> None:
    solver = make_solver(name)
    scale = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    y0 = start.clone().requires_grad_()

    def end(y: Tensor, factor: Tensor) -> Tensor:
        assert nonlinear.partition is not None
        drift, kick = nonlinear.partition.drift, nonlinear.partition.kick
        partition = Partition(lambda t, p: factor * drift(t, p), lambda t, q: factor * kick(t, q))
        f = suited(Structured(partition, partition=partition, semilinear=nonlinear.semilinear), solver)
        return integrate(f, y, t1=1, dt=0.25, solver=solver).y

    assert torch.autograd.gradcheck(end, (y0, scale), fast_mode=True)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"f": 3}, TypeError, "`f` is int"),
        ({"y0": [1.0]}, TypeError, "`y0` is list"),
        ({"y0": torch.ones(2, dtype=torch.int64)}, TypeError, "floating dtype"),
        ({"y0": torch.ones(0)}, ValueError, "no elements"),
        ({"dt": 0}, ValueError, "`dt` is 0"),
        ({"dt": -0.1}, ValueError, "`dt` is -0.1"),
        ({"dt": nan}, ValueError, "`dt` is nan"),
        ({"dt": "0.1"}, TypeError, "`dt` is '0.1'"),
        ({"t1": inf}, ValueError, "`t1` is inf"),
        ({"t1": 0.0}, ValueError, "nothing to integrate"),
        ({"solver": RK4}, TypeError, r"give an instance: RK4\(\)"),
        ({"solver": "rk5"}, ValueError, "`solver` is 'rk5'; choose one of 'euler'"),
        ({"solver": Leapfrog()}, ValueError, "Leapfrog needs a partition"),
        ({"save": "all"}, ValueError, "'trajectory', 'end'"),
        ({"adjoint": "magic"}, ValueError, "'autograd'"),
        ({"on_divergence": "stop"}, ValueError, "'raise', 'warn', 'ignore'"),
        ({"f": lambda t, y: y[:1]}, ValueError, "returned shape"),
        ({"f": lambda t, y: y.float()}, ValueError, "returned dtype"),
        ({"f": lambda t, y: 1.0}, TypeError, "returned float"),
        (
            {"f": Partition(lambda t, p: p, lambda t, q: q[:1]), "y0": torch.ones(4), "solver": Leapfrog()},
            ValueError,
            "`kick`",
        ),
    ],
)
def test_bad_input_is_named(changes: dict[str, object], error: type[Exception], message: str) -> None:
    facts = {"f": decay, "y0": torch.ones(2, dtype=torch.float64), "t1": 1.0, "dt": 0.1, "solver": RK4()} | changes
    with pytest.raises(error, match=message):
        integrate(facts.pop("f"), facts.pop("y0"), **facts)


def test_a_partition_wants_an_even_state() -> None:
    partition = Partition(lambda t, p: p, lambda t, q: q)
    with pytest.raises(ValueError, match="even size"):
        integrate(partition, torch.ones(3), t1=1, dt=0.1, solver=Leapfrog())


def test_unknown_names_list_the_registry() -> None:
    with pytest.raises(ValueError, match="'euler', 'midpoint'"):
        make_solver("newton")


def explosion(t: float, y: Tensor) -> Tensor:
    return y * y


def test_divergence_is_an_error_with_step_time_and_norm() -> None:
    with pytest.raises(DivergenceError, match="Euler diverged at step") as caught:
        integrate(explosion, torch.full((2,), 10.0), t1=10, dt=0.1, solver=Euler())
    assert caught.value.step == 8  # y <- y + y^2 / 10: 10, 20, 60, 420, 18e3, 33e6, 1.1e14, 1.1e27, past 3e38
    assert caught.value.time == pytest.approx(0.8)
    assert caught.value.norm is not None
    assert 1.1e27 < caught.value.norm < 2e27


def test_a_finite_state_whose_sum_overflows_has_not_diverged() -> None:
    y0 = torch.full((4,), 3e38)
    assert y0.sum().isinf()
    assert torch.equal(integrate(lambda t, y: 0 * y, y0, t1=1, dt=0.5, solver=Euler(), save="end").y, y0)


def test_a_complex_state_may_diverge_in_its_imaginary_part() -> None:
    y0 = torch.full((2,), 1j, dtype=torch.complex64)
    rotated = integrate(lambda t, y: 1j * y, y0, t1=1, dt=0.5, solver=Euler(), save="end").y
    assert rotated.imag.isfinite().all()
    with pytest.raises(DivergenceError):
        integrate(lambda t, y: 1e38 * y, y0, t1=2, dt=1.0, solver=Euler())


def test_divergence_may_be_flagged_instead() -> None:
    with pytest.warns(DivergenceWarning, match="diverged at step 8"):
        solution = integrate(explosion, torch.full((2,), 10.0), t1=10, dt=0.1, solver=Euler(), on_divergence="warn")
    assert not solution.finite
    quiet = integrate(explosion, torch.full((2,), 10.0), t1=10, dt=0.1, solver=Euler(), on_divergence="ignore")
    assert not quiet.finite


def test_divergence_of_a_two_step_method_is_seen_in_its_carry() -> None:
    """One state of two is infinite: the last looks well."""

    def spike(t: float, y: Tensor) -> Tensor:
        return torch.full_like(y, 3e38 if float(t) == 5 else 1.0)

    facts = {"t1": 20, "dt": 10, "solver": make_solver("leapfrog-midpoint")}
    with pytest.raises(DivergenceError):
        integrate(spike, torch.ones(1), **facts)
    quiet = integrate(spike, torch.ones(1), on_divergence="ignore", **facts)
    assert quiet.y[1:].tolist() == [[float("inf")], [21.0]]
    assert not quiet.finite


def test_a_solver_may_be_named() -> None:
    named, given = (integrate(decay, torch.ones(2), t1=1, dt=0.1, solver=solver).y for solver in ("rk4", RK4()))
    assert torch.equal(named, given)


@pytest.mark.parametrize("y0", [torch.ones(()), torch.ones(3), torch.ones(3, dtype=torch.complex64)])
def test_time_is_a_tensor_that_does_not_widen_the_state(y0: Tensor) -> None:
    seen: list[Tensor] = []

    def driven(t: Tensor, y: Tensor) -> Tensor:
        seen.append(t)
        return torch.sin(t) * y

    assert integrate(driven, y0, t0=0.5, t1=1, dt=0.25, solver=RK4()).y.dtype == y0.dtype
    assert all(t.shape == () and t.dtype == (torch.float64 if y0.ndim else torch.float32) for t in seen)
    assert [float(t) for t in seen[:4]] == [0.5, 0.625, 0.625, 0.75]


def test_f_is_evaluated_as_often_as_the_method_says_with_the_callers_gradients() -> None:
    calls = 0

    def gradient_flow(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        (slope,) = torch.autograd.grad(-(y**4).sum() / 4, y, create_graph=True)
        return slope

    solution = integrate(gradient_flow, torch.ones(2, requires_grad=True), t1=1, dt=0.25, solver=RK4())
    assert calls == solution.num_evals == 16
    solution.y[-1].sum().backward()


def test_a_state_stays_as_it_is_inside_autocast() -> None:
    layer = torch.nn.Linear(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        solution = integrate(lambda t, y: layer(y), torch.ones(3, 4), t1=1, dt=0.5, solver=Euler())
    assert solution.y.dtype == torch.float32
