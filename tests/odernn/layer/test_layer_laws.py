"""Laws of the layer over both registries: order, streaming, batch invariance, gradients, what a stage sees."""

from collections.abc import Callable
from functools import cache
from math import log2

import pytest
import torch
from torch import Tensor

from odernn import (
    FIELDS,
    HOLDS,
    ODERNN,
    NoisyField,
    PartitionedField,
    RecurrentState,
    SemilinearField,
    VectorField,
)
from odernn.fields.field import is_damped_partitioned
from solvers import RK4, SOLVERS, AverageVectorField, Euler, Need, TorchdiffeqSolver, make_solver
from solvers.extend import Time
from tests.pairs import crossed
from tests.problems import REPRESENTATIVES

DOUBLE = torch.float64
NEEDED = {None: None, Need.PARTITION: PartitionedField, Need.LINEAR_PART: SemilinearField}


@cache
def compatible(field: str, solver: str) -> bool:
    """Whether the field declares what the solver needs."""
    needs = make_solver(solver).needs
    if needs is Need.DIFFUSION:
        return False  # no field of the registry has noise: see test_noisy_field.py
    needed, made = NEEDED[needs], FIELDS[field](2, 4)
    if needs is Need.PARTITION and is_damped_partitioned(made) and not SOLVERS[solver].takes_own_half:
        return False
    return needed is None or isinstance(made, needed)


def stepped(solver: str) -> bool:
    """Whether it takes the steps that it is given, and no noise."""
    return make_solver(solver).needs is not Need.DIFFUSION and not issubclass(SOLVERS[solver], TorchdiffeqSolver)


def one_step(solver: str) -> bool:
    """Whether a step of it knows nothing of the control before."""
    return stepped(solver) and make_solver(solver).family != "multi-step"


STEPS = {1: 20, 2: 10, 3: 8, 4: 6}  # substeps per interval of 0.5 from which the leading error term rules
EVERY = {"solver": list(SOLVERS)}


def layer(field: str, solver: str, *, hold: str = "zero-order") -> ODERNN:
    rhs = FIELDS[field](2, 4, dtype=DOUBLE)  # pyright: ignore[reportCallIssue]
    return ODERNN(rhs, make_solver(solver), dt=0.3, substeps=2, hold=hold)


def order(field: VectorField, solver: str, x: Tensor, hold: str, coarse: int) -> float:
    """The slope of the error at the end, between so many substeps and twice as many."""
    numbers = tuple(x.flatten().tolist())
    exact = end(field, "rk4", 60, hold, numbers)  # off by a five hundredth at most: five steps for one, order four
    errors = [float(torch.linalg.vector_norm(end(field, solver, k * coarse, hold, numbers) - exact)) for k in (1, 2)]
    return log2(errors[0] / errors[1])


@cache
def end(field: VectorField, name: str, substeps: int, hold: str, numbers: tuple[float, ...]) -> Tensor:
    """The state after two samples of two sequences of two features."""
    # three nodes: a quadrature of order 6, and a quarter of the work
    method = AverageVectorField(nodes=3) if name == "average-vector-field" else make_solver(name)
    rnn = ODERNN(field, method, dt=0.5, substeps=substeps, hold=hold)
    draw = torch.Generator().manual_seed(0)
    y0 = torch.randn(1, 2, field.hidden_size, dtype=DOUBLE, generator=draw)
    return rnn(torch.tensor(numbers, dtype=DOUBLE).reshape(2, 2, 2), y0, save="end")[1].detach()


@crossed({"solver": [name for name in SOLVERS if stepped(name) and not one_step(name)]}, where=stepped, full=EVERY)
def test_order_through_the_layer(solver: str, clocked_field: VectorField) -> None:
    """Constant input: a multi-step method loses order where the control jumps, and says so; time drives the field.

    The others keep theirs under any input: see below.
    """
    x = torch.tensor([0.3, -0.5], dtype=DOUBLE).expand(2, 2, 2)
    wanted = make_solver(solver).order
    # the next term of the error
    assert order(clocked_field, solver, x, "zero-order", STEPS[wanted]) == pytest.approx(wanted, abs=0.2)


@crossed(
    {"solver": REPRESENTATIVES, "hold": sorted(HOLDS)},  # a linear one first: it asks more
    strength=1,
    where=lambda solver, hold: one_step(solver),
    full=EVERY,
)
def test_order_of_a_one_step_method_under_changing_input(solver: str, hold: str, clocked_field: VectorField) -> None:
    """The kinks and jumps of the control lie at the samples, where steps end: they cost nothing."""
    x, wanted = torch.randn(2, 2, 2, dtype=DOUBLE), make_solver(solver).order
    assert order(clocked_field, solver, x, hold, STEPS[wanted]) == pytest.approx(wanted, abs=0.2)


@pytest.mark.parametrize("solver", [name for name in SOLVERS if stepped(name) and not one_step(name)])
@pytest.mark.parametrize(("hold", "wanted"), [("zero-order", 1), ("linear", 2)])
def test_order_of_a_multi_step_method_across_jumps_and_kinks(
    solver: str, hold: str, wanted: int, clocked_field: VectorField
) -> None:
    x = torch.randn(2, 2, 2, dtype=DOUBLE)
    assert order(clocked_field, solver, x, hold, 48) == pytest.approx(wanted, abs=0.2)


@crossed(
    {"field": list(FIELDS), "solver": REPRESENTATIVES, "hold": list(HOLDS), "steps": ["number", "each"]},
    where=lambda field, solver, hold, steps: compatible(field, solver),
    once={"field": list(FIELDS)},
    full=EVERY,
)
def test_any_split_gives_the_same_output(field: str, solver: str, hold: str, steps: str) -> None:
    """With one step for all, and with one for each sample of each sequence."""
    rnn, x = layer(field, solver, hold=hold), torch.randn(5, 3, 2, dtype=DOUBLE)
    dt = torch.full((3, 5), 0.3, dtype=DOUBLE) if steps == "number" else 0.1 + 0.3 * torch.rand(3, 5, dtype=DOUBLE)

    def given(start: int, stop: int) -> Tensor | None:
        return None if steps == "number" else dt[:, start:stop]

    whole, _ = rnn(x, dt=given(0, 5))
    state, parts = rnn.initial_state(3), []
    for start, stop in ((0, 1), (1, 2), (2, 5)):
        part, state = rnn(x[start:stop], state, dt=given(start, stop))
        parts.append(part)
    # one product over all times against several: the library may sum in another order
    rounding = 1e-6 if issubclass(SOLVERS[solver], TorchdiffeqSolver) else 1e-13
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=rounding)
    single, stream = None, []
    for n, x_n in enumerate(x):
        y, single = rnn.step(x_n, single, dt=None if steps == "number" else dt[:, n : n + 1])
        stream.append(y)
    torch.testing.assert_close(torch.stack(stream), whole, rtol=0, atol=rounding)


@crossed({"field": list(FIELDS), "solver": REPRESENTATIVES}, strength=1, where=compatible, full=EVERY)
def test_a_batch_of_one_gives_the_rows_of_a_batch_of_eight(field: str, solver: str) -> None:
    rnn, x = layer(field, solver), torch.randn(3, 8, 2, dtype=DOUBLE)
    together, _ = rnn(x)
    some = [0, 3, 7]
    alone = torch.cat([rnn(x[:, b : b + 1])[0] for b in some], dim=1)
    # products of one row or eight are summed otherwise; the step control of an adaptive method sees the whole batch
    rounding = 1e-6 if issubclass(SOLVERS[solver], TorchdiffeqSolver) else 1e-13
    torch.testing.assert_close(alone, together[:, some], rtol=0, atol=rounding)
    torch.testing.assert_close(rnn(x[:, 5])[0], together[:, 5], rtol=0, atol=rounding)  # unbatched


@crossed({"field": list(FIELDS), "solver": REPRESENTATIVES}, strength=1, where=compatible, full=EVERY)
def test_gradcheck_through_parameters_start_input_and_step(field: str, solver: str) -> None:
    rnn = layer(field, solver, hold="linear")
    names, values = zip(*rnn.named_parameters(), strict=True)
    x = torch.randn(2, 2, 2, dtype=DOUBLE, requires_grad=True)
    y0 = torch.randn(1, 2, 4, dtype=DOUBLE, requires_grad=True)
    dt = (0.2 + 0.3 * torch.rand(2, 2, dtype=DOUBLE)).requires_grad_()

    def output(x: Tensor, y0: Tensor, dt: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(rnn, given, (x, y0), {"dt": dt})[0]

    assert torch.autograd.gradcheck(output, (x, y0, dt, *values), fast_mode=True)


class Recorder(VectorField):
    """Keeps the times and controls that its stages see."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.seen: list[tuple[float, float]] = []

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        self.seen.append((float(t), float(u)))
        return torch.zeros_like(y)


class Witness(VectorField):
    """Keeps the times and controls of all evaluations, whichever part of it a solver asks for."""

    partitioned = True

    def __init__(self) -> None:
        super().__init__(1, 2)
        self.seen: list[tuple[float, float]] = []

    def control(self, x: Tensor) -> Tensor:
        return x

    def forward(self, t: Time, y: Tensor, u: Tensor) -> Tensor:
        return self.note(t, u) - torch.sin(y)

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return self.note(t, u) - torch.sin(p)

    kick = drift

    def semilinear(self) -> tuple[Tensor, Callable[[Time, Tensor, Tensor], Tensor]]:
        return -torch.eye(2, dtype=DOUBLE), self.forward

    def note(self, t: Time, u: Tensor) -> float:
        self.seen.append((float(t), u.flatten().tolist()[0]))
        return 0.1


@crossed({"solver": REPRESENTATIVES, "hold": list(HOLDS)}, full=EVERY)
def test_every_solver_sees_the_control_of_the_time_and_interval_that_it_is_in(solver: str, hold: str) -> None:
    """Sample by sample, so that it is known to which interval an evaluation belongs; two steps in each."""
    witness, method = Witness(), make_solver(solver)
    field = NoisyField(witness, additive=0.1) if method.needs is Need.DIFFUSION else witness
    rnn = ODERNN(field, method, dt=0.6, substeps=2, hold=hold)
    # Rounding of the time: an adaptive method does not look ahead either. Yoshida's middle part goes back by 0.352 of a
    # step and beyond its ends; there the line of the interval continues.
    reach = 0.18 if solver == "yoshida4" else 1e-12
    before, state = 1.0, RecurrentState(torch.tensor([[0.3, -0.2]], dtype=DOUBLE))
    for n, sample in enumerate((1.0, 4.0, 7.0)):
        witness.seen.clear()
        _, state = rnn.step(torch.tensor([[sample]], dtype=DOUBLE), state)
        assert len(witness.seen) >= 2
        for t, u in witness.seen:
            fraction = (t - 0.6 * n) / 0.6
            assert -reach < fraction < 1 + reach
            expected = before + (sample - before) * fraction if hold == "linear" else sample
            assert u == pytest.approx(expected, abs=1e-9)
        before = sample


def recorded(hold: str, substeps: int) -> list[tuple[float, float]]:
    field = Recorder()
    ODERNN(field, make_solver("rk38"), dt=0.6, substeps=substeps, hold=hold)(torch.tensor([[1.0], [4.0], [7.0]]))
    return field.seen


def test_zero_order_hold_shows_every_stage_the_sample_of_its_interval() -> None:
    times = [n * 0.6 + k * 0.3 + c * 0.3 for n in range(3) for k in range(2) for c in (0, 1 / 3, 2 / 3, 1)]
    expected = list(zip(times, [1.0] * 8 + [4.0] * 8 + [7.0] * 8, strict=True))
    assert recorded("zero-order", 2) == [pytest.approx(pair) for pair in expected]


def test_linear_hold_runs_from_the_sample_before_to_the_intervals_own() -> None:
    fractions = (0, 1 / 3, 2 / 3, 1)
    expected = [1.0] * 4 + [1 + 3 * f for f in fractions] + [4 + 3 * f for f in fractions]
    assert [u for _, u in recorded("linear", 1)] == pytest.approx(expected, abs=1e-6)  # float32


def test_tensor_steps_of_equal_length_are_the_number() -> None:
    rnn, x = layer("gated-antisymmetric", "rk4", hold="linear"), torch.randn(5, 3, 2, dtype=DOUBLE)
    whole, _ = rnn(x)
    for shape in ((), (5,), (3, 5)):
        torch.testing.assert_close(rnn(x, dt=torch.full(shape, 0.3, dtype=DOUBLE))[0], whole, rtol=0, atol=1e-13)


@crossed({"field": list(FIELDS), "solver": REPRESENTATIVES}, strength=1, where=compatible, full=EVERY)
def test_every_sample_has_its_own_clock(field: str, solver: str) -> None:
    rnn, x = layer(field, solver), torch.randn(5, 3, 2, dtype=DOUBLE)
    dt = 0.1 + torch.rand(3, 5, dtype=DOUBLE)
    together, _ = rnn(x, dt=dt)
    for b in range(3):
        alone, _ = rnn(x[:, b], dt=dt[b])
        rounding = 1e-6 if issubclass(SOLVERS[solver], TorchdiffeqSolver) else 1e-13  # as of a batch of one
        torch.testing.assert_close(alone, together[:, b], rtol=0, atol=rounding)


def test_the_weights_are_built_once_a_call() -> None:
    rnn, count = layer("antisymmetric", "rk4"), []
    rnn.field.get_submodule("recurrent").register_forward_hook(lambda *_: count.append(1))
    rnn(torch.randn(20, 3, 2, dtype=DOUBLE))
    assert len(count) == 1


def test_with_solver_shares_the_weights() -> None:
    rnn = layer("antisymmetric", "euler")
    finer = rnn.with_solver(RK4(), substeps=5)
    assert finer.field is rnn.field
    assert (finer.solver, finer.substeps, finer.dt) == (RK4(), 5, rnn.dt)
    x = torch.randn(6, 2, 2, dtype=DOUBLE)
    fine = rnn.with_solver(Euler(), substeps=4000)(x)[1]
    torch.testing.assert_close(finer(x)[1], fine, rtol=0, atol=1e-3)  # Euler's error at dt = 0.3 / 4000


def test_with_solver_keeps_what_it_is_not_told() -> None:
    field = FIELDS["antisymmetric"](2, 4)
    rnn = ODERNN(
        field,
        Euler(),
        dt=0.2,
        substeps=3,
        hold="linear",
        batch_first=False,
        adjoint="discrete",
        engine="torch",
        on_divergence="ignore",
        check_input=False,
    )
    other = rnn.with_solver("rk4")
    kept = ("dt", "substeps", "hold", "batch_first", "adjoint", "engine", "on_divergence", "check_input")
    assert [getattr(other, name) for name in kept] == [getattr(rnn, name) for name in kept]


def test_timestamps_are_steps() -> None:
    rnn, x = layer("antisymmetric", "rk4", hold="linear"), torch.randn(5, 3, 2, dtype=DOUBLE)
    steps = 0.1 + torch.rand(3, 5, dtype=DOUBLE)
    steps[:, 0] = 0.3  # the layer's own dt is the interval before the first sample
    times = 10 + steps.cumsum(1)
    torch.testing.assert_close(rnn(x, timestamps=times)[0], rnn(x, dt=steps)[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(rnn(x, timestamps=times[1])[0], rnn(x, dt=steps[1])[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(rnn(x[:, 2], timestamps=times[2])[0], rnn(x[:, 2], dt=steps[2])[0], rtol=0, atol=1e-12)


def test_timestamps_go_on_from_the_time_of_a_state() -> None:
    rnn, x = layer("antisymmetric", "rk4", hold="linear"), torch.randn(5, 3, 2, dtype=DOUBLE)
    times = (0.2 + torch.rand(3, 5, dtype=DOUBLE)).cumsum(1)
    whole, _ = rnn(x, rnn.initial_state(3), timestamps=times)
    first, state = rnn(x[:2], rnn.initial_state(3), timestamps=times[:, :2])
    second, _ = rnn(x[2:], state, timestamps=times[:, 2:])
    torch.testing.assert_close(torch.cat((first, second)), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timestamps": torch.tensor([1.0, 1.0, 2.0, 3.0, 4.0])}, r"`timestamps` at \(1,\) is 1.0, 0.0 after"),
        ({"timestamps": torch.ones(5, 1, 1)}, "give \\(time,\\) or \\(batch, time\\)"),
        ({"timestamps": torch.arange(1.0, 6), "dt": 0.1}, "both given"),
    ],
)
def test_bad_timestamps(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer("antisymmetric", "rk4")(torch.randn(5, 3, 2, dtype=DOUBLE), **arguments)


def test_timestamps_are_floating() -> None:
    with pytest.raises(TypeError, match=r"`timestamps` has dtype torch.int64"):
        layer("antisymmetric", "rk4")(torch.randn(5, 3, 2, dtype=DOUBLE), timestamps=torch.arange(1, 6))
