"""Measuring speed: whose function is compared with ours, who is timed, how often and in which order."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import inf

import pytest
import torch
from torch import Tensor

from benchmarks.speed import measure
from benchmarks.speed.case import Case, Output, Shape, Work
from benchmarks.speed.contender import Contender, Model, Runner, UnavailableError, torch_runner
from benchmarks.speed.contenders import all_contenders
from benchmarks.speed.equivalence import CHECKED, largest_error, tolerance
from benchmarks.speed.measure import Running, measure_group, time_in_turns
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.ours import REFERENCE
from benchmarks.speed.peers import _compiled
from benchmarks.speed.pictures import draw_pictures
from benchmarks.speed.problem import DAMPING, DT, Problem, draw, full_matrix
from benchmarks.speed.rounds import LEAST, LEAST_OF_LONG, LONG, MOST, TOO_LONG, interleaved, repetitions
from benchmarks.speed.suites import Entry
from tests.pairs import crossed

pytestmark = pytest.mark.usefixtures("collected")
CPU = torch.device("cpu")
SMALL = Case(Shape(6, 3, 4, 2))
CONTENDERS = all_contenders()
NATIVE = [pytest.param(name, marks=pytest.mark.kernels) for name in ("native", "native-checkpointed")]
SAME = (*NATIVE, "torch", "naive", "torchdiffeq", "torchdiffeq-whole", "torchrecurrent")
OTHERS = ("nn.RNN", "nn.GRU", "nn.LSTM")


def measured(case: Case, *names: str, among: Mapping[str, Contender] = CONTENDERS) -> list[Measurement]:
    return measure_group("any", [Entry(case, name) for name in names], among, CPU, budget=1e-6)


def changed(change: Callable[[Tensor], Tensor], parameter: str = "") -> Callable[[Problem], Runner]:
    """The reference with its output changed, or the gradient of one parameter."""

    def make(problem: Problem) -> Runner:
        runner = CONTENDERS[REFERENCE].make(problem)

        def answer() -> dict[str, Tensor]:
            assert runner.answer is not None
            right = dict(runner.answer())
            return right | {parameter or "output": change(right[parameter or "output"])}

        return Runner(runner.time, answer)

    return make


@crossed({"name": SAME, "work": ["training", "inference"], "output": ["end", "trajectory"]})
def test_peers_compute_our_function(name: str, work: Work, output: Output) -> None:
    if name == "torchrecurrent":
        pytest.importorskip("torchrecurrent", reason="an optional peer")
    (measurement,) = measured(replace(SMALL, work=work, output=output), name)
    assert measurement.note == ""
    assert measurement.error is not None
    assert measurement.error < 1e-5  # 80 epsilon, after six steps
    assert len(measurement.seconds) == LEAST


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)  # the compiler looks
def test_the_loop_whose_step_is_compiled_computes_it_too() -> None:
    peer = Contender("naive-compiled", "peer", partial(_compiled, "eager"))
    (measurement,) = measured(SMALL, peer.name, among={**CONTENDERS, peer.name: peer})
    assert measurement.error is not None
    assert measurement.error < 1e-5


@pytest.mark.parametrize("name", OTHERS)
def test_another_function_is_timed_without_being_compared(name: str) -> None:
    (measurement,) = measured(SMALL, name)
    assert measurement.kind == "another function"
    assert measurement.error is None
    assert len(measurement.seconds) == LEAST


@pytest.mark.parametrize("name", ["stream", "step", "naive", *OTHERS])
def test_streaming_is_measured(name: str) -> None:
    (measurement,) = measured(replace(SMALL, work="streaming"), name)
    assert (measurement.error is None) == (name in OTHERS)
    assert len(measurement.seconds) == LEAST


@pytest.mark.parametrize("change", [lambda a: a * 1.001, lambda a: a[..., :-1], lambda a: a * torch.nan])
def test_who_disagrees_is_reported_and_not_timed(change: Callable[[Tensor], Tensor]) -> None:
    """In the output, or in the gradient by one parameter only."""
    calls = []

    def wrong(parameter: str) -> Contender:
        def make(problem: Problem) -> Runner:
            return replace(changed(change, parameter)(problem), time=lambda: calls.append(1) or 1.0)

        return Contender(f"wrong {parameter}", "peer", make)

    parameters = ("", "recurrent.upper", "input_map.weight", "input_map.bias", "x")
    wrongs = {one.name: one for one in map(wrong, parameters)}
    *measurements, right = measured(SMALL, *wrongs, "naive", among={**CONTENDERS, **wrongs})
    assert len(measurements) == len(parameters)
    for measurement in measurements:
        assert measurement.note.startswith("disagrees: max error "), measurement.contender
        assert measurement.error is not None
        assert measurement.seconds == ()
    assert calls == []
    assert right.seconds  # the others are


def damping_outside_dt(y: Tensor, m: Tensor, u: Tensor, dt: float, damping: float) -> Tensor:
    return y + dt * torch.tanh(y @ m.T + u) - damping * dt * y


def doubled_bias(y: Tensor, m: Tensor, u: Tensor, dt: float, damping: float) -> Tensor:
    return y + dt * torch.tanh(y @ m.T - damping * y + 1.01 * u)


@pytest.mark.parametrize("step", [damping_outside_dt, doubled_bias])
def test_the_tolerance_tells_a_variant_from_rounding(step, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is nearly ours is far outside, at the length that the others are compared on."""
    case = Case(Shape(CHECKED, 2, 16, 1), work="inference")
    problem = draw(case, CPU)
    w = full_matrix(problem.field)  # pyright: ignore[reportArgumentType]

    def run(x: Tensor) -> Tensor:
        y = x.new_zeros(2, 16)
        for u in problem.field.control(x).unbind():
            y = step(y, w - w.T, u, DT, DAMPING)
        return y

    wrong, right = torch_runner(Model(run, {}), problem).answer, CONTENDERS[REFERENCE].make(problem).answer
    assert wrong is not None
    assert right is not None
    assert largest_error(wrong(), right()) > 10 * tolerance(CHECKED)


def test_errors_are_relative_to_the_largest_entry() -> None:
    reference = {"output": torch.tensor([1.0, 100.0]), "x": torch.tensor([1e-3])}
    assert largest_error({"output": torch.tensor([2.0, 100.0]), "x": torch.tensor([1e-3])}, reference) == pytest.approx(
        0.01
    )
    assert largest_error({"output": reference["output"], "x": torch.tensor([2e-3])}, reference) == pytest.approx(1.0)
    assert largest_error({"output": reference["output"]}, reference) == inf


def test_what_is_compared_is_short_and_what_is_timed_is_whole() -> None:
    seen: list[tuple[int, str]] = []

    def make(problem: Problem) -> Runner:
        runner = CONTENDERS["naive"].make(problem)

        def time() -> float:
            seen.append((len(problem.x), "timed"))
            return 1e-3

        assert runner.answer is not None
        answer = runner.answer
        return Runner(time, lambda: (seen.append((len(problem.x), "compared")), answer())[1])

    contender = Contender("spy", "peer", make, checked=4)
    (measurement,) = measured(SMALL, "spy", among={**CONTENDERS, "spy": contender})
    assert measurement.note == ""
    assert seen[0] == (4, "compared")
    assert set(seen[1:]) == {(6, "timed")}


def test_lengths_of_a_group_are_each_compared_with_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut to the same length, they are not the same numbers."""
    monkeypatch.setattr(measure, "CHECKED", 4)
    cases = [replace(SMALL, shape=replace(SMALL.shape, time=time)) for time in (4, 6, 8)]
    measurements = measure_group("any", [Entry(case, "naive") for case in cases], CONTENDERS, CPU, budget=1e-6)
    assert [measurement.note for measurement in measurements] == ["", "", ""]


def test_gradients_are_cleared_between_repetitions() -> None:
    problem = draw(SMALL, CPU)
    leaf = torch.ones((), requires_grad=True)
    runner = torch_runner(Model(lambda x: leaf * x[-1, :, :1].expand(3, 4), {"leaf": leaf}), problem)
    runner.time()
    assert leaf.grad is not None
    once = leaf.grad.clone()
    runner.time()
    torch.testing.assert_close(leaf.grad, once, rtol=0, atol=0)  # the same numbers, not twice of them


def test_inference_records_no_gradients() -> None:
    recorded = []
    model = Model(lambda x: recorded.append(torch.is_grad_enabled()) or x[-1], {})
    for work in ("inference", "streaming"):
        torch_runner(model, draw(replace(SMALL, work=work), CPU)).time()
    assert recorded == [False, False]


@pytest.mark.parametrize("counts", [(5, 5, 5), (3, 12, 1), (50,), (), (7, 0, 2)])
def test_repetitions_are_interleaved_and_spread(counts: tuple[int, ...]) -> None:
    rounds = [list(each) for each in interleaved(counts)]
    assert len(rounds) == max(counts, default=0)
    for index, count in enumerate(counts):
        turns = [number for number, each in enumerate(rounds) if index in each]
        assert len(turns) == count
        gaps = [after - before for before, after in pairwise(turns)]
        assert not gaps or max(gaps) - min(gaps) <= 1
        assert not turns or turns[-1] == len(rounds) - 1  # to the end, however few
    assert all(len(set(each)) == len(each) for each in rounds)


def test_contenders_take_turns() -> None:
    order: list[str] = []

    def running(name: str) -> Running:
        return Running(Measurement("any", SMALL, name, "peer"), Runner(lambda: order.append(name) or LONG / 2, None))

    three = [running(name) for name in "abc"]
    time_in_turns(three, budget=1.0)
    assert "".join(order) == "aabbcc" + "abc" * LEAST  # two calls of each to warm up, which are not kept
    assert [len(one.finished().seconds) for one in three] == [LEAST] * 3


@pytest.mark.parametrize(
    ("seconds", "budget", "count"),
    [
        (1e-6, 1.0, MOST),
        (0.1, 1.0, 10),
        (0.9, 1.0, LEAST),
        (LONG, 1.0, LEAST_OF_LONG),
        (2.0, 100.0, 50),
        (TOO_LONG, 100.0, 1),
    ],
)
def test_count_of_repetitions(seconds: float, budget: float, count: int) -> None:
    assert repetitions(seconds, budget) == count


@pytest.mark.parametrize("first", [60.0, 1.5])
def test_a_slow_first_call_does_not_set_the_count(first: float) -> None:
    times = iter([first, *[0.5] * 20])
    one = Running(Measurement("any", SMALL, "a", "peer"), Runner(lambda: next(times), None))
    time_in_turns([one], budget=1.0)
    assert one.finished().seconds == (0.5,) * LEAST


@pytest.mark.parametrize("at", [1, 2, 4])
def test_who_fails_while_being_timed_says_so(at: int) -> None:
    calls = iter(range(1, 100))

    def time() -> float:
        if next(calls) >= at:
            raise UnavailableError("it broke")
        return 0.1

    one = Running(Measurement("any", SMALL, "a", "peer"), Runner(time, None))
    time_in_turns([one], budget=1.0)
    assert one.finished().note == "it broke"
    assert one.finished().seconds == ()


def test_a_substitute_is_not_timed_under_our_engines_name() -> None:
    (measurement,) = measured(replace(SMALL, field="lipschitz", solver="exponential-euler"), "native")
    assert "in place of the native one" in measurement.note
    assert measurement.seconds == ()


@pytest.mark.parametrize("name", ["naive", "torchdiffeq", "torchdiffeq-whole", "torchrecurrent", "matmul", "jax-scan"])
def test_peers_refuse_what_is_not_the_papers(name: str) -> None:
    assert CONTENDERS[name].refusal(replace(SMALL, field="gated-antisymmetric")) is not None
    assert CONTENDERS[name].refusal(replace(SMALL, solver="rk4")) is not None


def test_one_odeint_for_the_whole_sequence_has_a_cap() -> None:
    whole = all_contenders(longest_whole=5)["torchdiffeq-whole"]
    assert "T = 5 only" in (whole.refusal(SMALL) or "")
    assert whole.refusal(replace(SMALL, work="inference")) is None
    assert all_contenders(longest_whole=6)["torchdiffeq-whole"].refusal(SMALL) is None


def test_lengths_with_two_batches_are_drawn_for_the_smaller_alone() -> None:
    def measurement(time: int, batch: int) -> Measurement:
        case = Case(Shape(time, batch, 8, 1))
        return Measurement("length", case, "native", "ours", seconds=(0.001 * time * batch,))

    alone = [measurement(time, 2) for time in (8, 16)]
    both = draw_pictures([*alone, *(measurement(time, 4) for time in (8, 16))], peak=1e9)
    assert both == draw_pictures(alone, peak=1e9)
