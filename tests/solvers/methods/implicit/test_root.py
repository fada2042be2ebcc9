"""The law of the root: of all solutions of its equation a step takes the one that continues from its start."""

from collections.abc import Callable
from math import sqrt

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField
from solvers import (
    AffinePointwise,
    BackwardEuler,
    ConvergenceError,
    ImplicitMidpoint,
    Structured,
    Trapezoidal,
    integrate,
)
from tests.pairs import crossed
from tests.solvers.methods.implicit.formulas import DOUBLE, METHODS, ROUNDING
from tests.solvers.methods.implicit.reference import Stage, continued, plain_newton


def stage_of(method: type, f: Callable, slope: Callable, dt: float, y: Tensor) -> Stage:
    """The equation that a step of an autonomous f solves."""
    part = dt if method is BackwardEuler else dt / 2
    return Stage(f, slope, part, y + part * f(y) if method is Trapezoidal else y, y)


def end_of(method: type, root: Tensor, y: Tensor) -> Tensor:
    """The end of the step whose equation has the root."""
    return 2 * root - y if method is ImplicitMidpoint else root


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_a_change_that_overshoots_does_not_lead_to_the_other_root(dtype: torch.dtype) -> None:
    y = integrate(lambda t, y: 1 - 3 * y * y, torch.zeros(1, dtype=dtype), t1=20.0, dt=1.0, solver=BackwardEuler()).y
    few = 8 * torch.finfo(dtype).eps
    assert float(y[1]) == pytest.approx((sqrt(13) - 1) / 6, rel=few)  # the other is -0.7676
    assert float(y[-1]) == pytest.approx(1 / sqrt(3), rel=few)  # the other rest state, which is unstable, is below zero


@pytest.mark.parametrize("start", [1e-3, 0.1, 0.6, 1.4])
def test_growth_that_a_step_does_not_resolve_does_not_turn_its_sign(start: float) -> None:
    # 5 y (1 - y): dt df/dy > 1 near 0, where Newton's method goes quickly, and to a root below zero.
    after, _ = BackwardEuler().step(lambda t, y: 5 * y * (1 - y), 0.0, 1.0, torch.tensor([start], dtype=DOUBLE), ())
    expected = (4 + sqrt(16 + 20 * start)) / 10
    assert float(after) == pytest.approx(expected, rel=1e-13)


def test_entries_of_one_row_that_do_not_act_on_each_other_each_take_their_root() -> None:
    # Two reversals make an even determinant.
    start = torch.tensor([1e-3, 2e-3], dtype=DOUBLE)
    after, _ = BackwardEuler().step(lambda t, y: 5 * y * (1 - y), 0.0, 1.0, start, ())
    torch.testing.assert_close(after, (4 + torch.sqrt(16 + 20 * start)) / 10, rtol=1e-13, atol=0)


@pytest.mark.parametrize("rate", [5.0, 40.0])
def test_a_linear_equation_has_one_root_wherever_its_branch_goes(rate: float) -> None:
    after, _ = BackwardEuler().step(lambda t, y: rate * y, 0.0, 1.0, torch.ones(2, dtype=DOUBLE), ())
    torch.testing.assert_close(after, torch.full_like(after, 1 / (1 - rate)), rtol=1e-13, atol=0)


def test_a_branch_that_folds_is_followed_to_the_root_that_newton_finds_too() -> None:
    # Past the fold at s = 0.58 the one root left is the upper one, to which the flow goes too.
    def f(y: Tensor) -> Tensor:
        return torch.tanh(4 * y - 1.5) + 1.05

    y = torch.zeros(1, dtype=DOUBLE)
    stage = stage_of(BackwardEuler, f, lambda y: torch.diag(4 / torch.cosh(4 * y - 1.5) ** 2), 2.0, y)
    assert continued(stage) is None
    after, _ = BackwardEuler().step(lambda t, y: f(y), 0.0, 2.0, y, ())
    torch.testing.assert_close(stage.image(after), after, rtol=ROUNDING, atol=0)
    assert float(after) > 1


def test_a_step_without_a_root_is_refused_and_says_how_far_it_got() -> None:
    # y = 1 + dt y^2 has no root beyond dt = 1/4: the flow is infinite at t = 1.
    with pytest.raises(
        ConvergenceError, match=r"the root that continues from the start of the step does so up to 0\.2\d* of dt only"
    ):
        BackwardEuler().step(lambda t, y: y * y, 0.0, 1.0, torch.ones(1, dtype=DOUBLE), ())
    after, _ = BackwardEuler().step(lambda t, y: y * y, 0.0, 0.24, torch.ones(1, dtype=DOUBLE), ())
    assert float(after) == pytest.approx((1 - sqrt(1 - 0.96)) / 0.48, rel=1e-13)


def draw(seed: int, sigma: float, antisymmetric: bool) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n = (2, 4, 8)[seed % 3]
    weight = torch.randn(n, n, dtype=DOUBLE, generator=generator) * sigma / sqrt(n)
    if antisymmetric:
        weight = weight.triu(1) - weight.triu(1).T
    return weight, torch.randn(n, dtype=DOUBLE, generator=generator), torch.randn(n, dtype=DOUBLE, generator=generator)


def tanh_stage(method: type, dt: float, weight: Tensor, bias: Tensor, y: Tensor) -> Stage:
    def slope(y: Tensor) -> Tensor:
        return (1 - torch.tanh(weight @ y + bias) ** 2).unsqueeze(-1) * weight

    return stage_of(method, lambda y: torch.tanh(weight @ y + bias), slope, dt, y)


BY_NAME = {method.__name__: method for method in METHODS}


# One draw of each size, and more of them.
@crossed(
    {"name": list(BY_NAME), "sigma": [1.0, 3.0, 8.0], "dt": [1.0, 3.0], "antisymmetric": [True, False], "draws": [3]},
    full={"draws": [3, 12]},
)
def test_random_fields_take_the_root_of_short_steps(
    name: str, sigma: float, dt: float, antisymmetric: bool, draws: int
) -> None:
    method, compared = BY_NAME[name], 0
    for seed in range(draws):
        weight, bias, y = draw(seed, sigma, antisymmetric)
        stage = tanh_stage(method, dt, weight, bias, y)
        root = continued(stage)
        f = AffinePointwise(weight, lambda t, y, p, bias=bias: torch.tanh(p + bias))
        if root is not None:
            compared += 1
            after, _ = method().step(f, 0.0, dt, y, ())
            torch.testing.assert_close(after, end_of(method, root, y), rtol=1e-9, atol=1e-9)  # well within other roots
        else:
            solve_or_refuse(method, f, dt, y, stage)
    assert compared == draws if antisymmetric else compared > 0  # an antisymmetric one has a single root


def solve_or_refuse(method: type, f: AffinePointwise, dt: float, y: Tensor, stage: Stage) -> None:
    """Where no root continues, the step is Newton's or none, and never an unsolved equation."""
    expected = plain_newton(stage)
    try:
        after, _ = method().step(f, 0.0, dt, y, ())
    except ConvergenceError:
        after = None
    if after is not None:
        assert expected is not None
        torch.testing.assert_close(after, end_of(method, expected, y), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_where_plain_newton_is_quick_a_step_is_its_root(method) -> None:
    for seed in range(10):
        weight, bias, y = draw(seed, 1.0, antisymmetric=False)
        expected = plain_newton(tanh_stage(method, 0.5, weight, bias, y))
        assert expected is not None
        f = Structured(lambda t, y, weight=weight, bias=bias: torch.tanh(y @ weight.T + bias))
        after, _ = method().step(f, 0.0, 0.5, y, ())
        torch.testing.assert_close(after, end_of(method, expected, y), rtol=1e-12, atol=1e-12)


def test_a_layer_of_wide_weights_and_long_steps_is_never_refused() -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        rnn = ODERNN(AntisymmetricField(2, 16, sigma_w=8.0, dtype=DOUBLE), ImplicitMidpoint(), dt=1.0)
        x, y0 = torch.randn(4, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 16, dtype=DOUBLE)
        with torch.no_grad():
            output, _ = rnn(x, y0)
            before = torch.cat((y0, output[:-1]))
            middle = (before + output) / 2
            slope = torch.tanh(middle @ rnn.field.weight().T + rnn.field.control(x))
        assert (output - before - slope).abs().max() < 1e-11  # K y of size 100, times its roundings


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_those_at_the_root(method) -> None:
    weight, bias, y = draw(1, 6.0, antisymmetric=False)
    assert method().step(AffinePointwise(weight, lambda t, y, p: torch.tanh(p + bias)), 0.0, 1.0, y, ())

    def step(y: Tensor, weight: Tensor) -> Tensor:
        return method().step(AffinePointwise(weight, lambda t, y, p: torch.tanh(p + bias)), 0.0, 1.0, y, ())[0]

    assert torch.autograd.gradcheck(step, (y.requires_grad_(), weight.requires_grad_()), fast_mode=True)


# A batch -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_row_does_not_depend_on_its_neighbours(method) -> None:
    # Rows that converge at once, rows that are slow and rows whose branch is followed.
    weight, bias, _ = draw(2, 4.0, antisymmetric=False)
    f = AffinePointwise(weight, lambda t, y, p: torch.tanh(p + bias))
    generator = torch.Generator().manual_seed(0)
    y = torch.logspace(-3, 1, 12, dtype=DOUBLE).unsqueeze(1) * torch.randn(12, 8, dtype=DOUBLE, generator=generator)
    together, _ = method().step(f, 0.0, 1.0, y, ())
    alone = torch.cat([method().step(f, 0.0, 1.0, row, ())[0] for row in y.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=1e-13)  # products of another batch round otherwise
    halves = torch.cat([method().step(f, 0.0, 1.0, part, ())[0] for part in y.flip(0).split(5)]).flip(0)
    torch.testing.assert_close(together, halves, rtol=1e-13, atol=1e-13)


def test_a_row_is_iterated_as_often_as_it_would_be_alone() -> None:
    # A loose tolerance shows it: an iteration more, or newer factors, would change the result by 1e-4.
    def f(t: float, y: Tensor) -> Tensor:
        return -(y**3)

    y = torch.tensor([[0.4], [0.9], [3.0], [30.0]], dtype=DOUBLE)
    solver = BackwardEuler(tolerance=1e-2)
    together, _ = solver.step(Structured(f), 0.0, 1.0, y, ())
    alone = torch.cat([solver.step(Structured(f), 0.0, 1.0, row, ())[0] for row in y.split(1)])
    torch.testing.assert_close(together, alone, rtol=ROUNDING, atol=0)
    strict, _ = BackwardEuler().step(Structured(f), 0.0, 1.0, y, ())
    assert (together - strict).abs().max() > 1e-6


def test_a_row_without_a_root_is_named_and_the_others_stand_by_themselves() -> None:
    y = torch.tensor([[-1.0], [0.1], [1.0], [0.2]], dtype=DOUBLE)
    with pytest.raises(ConvergenceError, match="in sample 2") as caught:
        BackwardEuler().step(Structured(lambda t, y: y * y), 0.0, 1.0, y, ())
    assert caught.value.row == 2
    kept, _ = BackwardEuler().step(Structured(lambda t, y: y * y), 0.0, 1.0, y[[0, 1, 3]], ())
    torch.testing.assert_close(kept, (1 - torch.sqrt(1 - 4 * y[[0, 1, 3]])) / 2, rtol=1e-13, atol=0)
