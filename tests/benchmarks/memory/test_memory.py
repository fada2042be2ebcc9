"""Memory: the meter against known allocations, the growth of each adjoint, the command's files and refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import torch
from torch import Tensor

from benchmarks.commands.memory import LENGTHS, LONGEST, Setup, main, measure, measured
from benchmarks.memory.growth import Growth, fit_exponent, to_markdown
from benchmarks.memory.peak import peak_bytes
from benchmarks.support.errors import OK, UserError
from odernn import ADJOINTS, ODERNN, AntisymmetricField, DiscreteAdjoint, HamiltonianField, VectorField
from solvers import (
    RK4,
    Adjoint,
    Autograd,
    Checkpointed,
    Continuous,
    Euler,
    Leapfrog,
    Reversible,
    Solver,
    TorchdiffeqSolver,
)
from solvers.extend import Save

pytestmark = pytest.mark.usefixtures("collected")
CPU = torch.device("cpu")
SMALL = Setup(batch=4, units=8, save="end", device=CPU)
WIDE = Setup(batch=16, units=64, save="end", device=CPU)
LARGE = Setup(batch=128, units=64, save="end", device=CPU)  # so large that a chunk has 21 intervals
STATE = WIDE.batch * WIDE.units * 4
RANDOM_STATE = torch.get_rng_state().numel()  # torch's checkpoint keeps one for each part

MIDPOINT = TorchdiffeqSolver("midpoint", steps=1)  # torchdiffeq has no leapfrog
BY_MIDPOINT = Continuous(MIDPOINT, chunk=16)
PARTS = (32, 48)  # two and three parts: the first one holds less

N = 1000
BYTES = 4 * N

EXPONENTS = {
    "autograd": 1.0,
    "discrete": 1.0,
    "checkpointed": 0.5,
    "reversible": 0.0,
    "continuous": 1.0,
    "checkpointed-discrete": 0.5,
}


def one_after_the_other() -> None:
    for _ in range(3):
        torch.empty(N)


def at_once() -> None:
    kept = [torch.empty(N) for _ in range(3)]
    kept.clear()
    torch.empty(2 * N)


def with_views_and_in_place() -> None:
    x = torch.zeros(N)
    x.view(10, -1).neg_()[3:].T.exp_()


def saved_for_backward() -> Tensor:
    x = torch.zeros(N, requires_grad=True)
    return x.exp().exp().exp().exp()  # each saves its result


@torch.no_grad()
def not_saved() -> Tensor:
    x = torch.zeros(N)
    return x.exp().exp().exp().exp()


def forward_and_backward() -> None:
    saved_for_backward().backward(torch.ones(()).expand(N))


@pytest.mark.parametrize(
    ("work", "peak"),
    [
        (lambda: None, 0),
        (one_after_the_other, BYTES),
        (at_once, 3 * BYTES),
        (with_views_and_in_place, BYTES),
        (saved_for_backward, 5 * BYTES),
        (not_saved, 3 * BYTES),  # x, what is read, what is written
        (forward_and_backward, 7 * BYTES + 4),  # and the gradients after and before the last exp, and the number 1
    ],
)
def test_meter_counts_known_allocations(work: Callable[[], object], peak: int) -> None:
    assert peak_bytes(work, CPU) == peak
    assert peak_bytes(work, CPU) == peak  # and again the same


def test_meter_leaves_out_what_was_there() -> None:
    before = [torch.empty(10 * N)]

    def work() -> None:
        before[0].neg_()
        torch.empty(N)

    assert peak_bytes(work, CPU) == BYTES


def test_meter_lets_errors_through_and_goes_on() -> None:
    def fail() -> None:
        torch.empty(N)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        peak_bytes(fail, CPU)
    assert peak_bytes(at_once, CPU) == 3 * BYTES


@pytest.mark.parametrize("exponent", [0.5, 1.0])
@pytest.mark.parametrize("fixed", [0, 10**6])
def test_fit_finds_the_exponent_beside_a_fixed_part(exponent: float, fixed: int) -> None:
    peaks = [round(fixed + 1e4 * length**exponent) for length in LENGTHS[3:]]
    assert fit_exponent(LENGTHS[3:], peaks) == pytest.approx(exponent, abs=0.02)  # the grid's step is 0.01


def test_what_does_not_grow_has_exponent_0() -> None:
    assert fit_exponent((256, 512, 1024), (10_000, 10_300, 10_100)) == 0.0


def test_every_adjoint_of_the_registry_is_measured() -> None:
    assert set(measured()) == set(ADJOINTS) - {"auto"} | {"checkpointed-discrete"}
    assert set(EXPONENTS) == set(measured())
    assert set(LONGEST) <= set(measured())


@pytest.mark.parametrize("name", EXPONENTS)
def test_growth_of_each_adjoint(name: str) -> None:
    # Squares, so that the parts of "sqrt" are equal; the continuous adjoint works in parts of 64.
    lengths = (64, 128, 192) if name == "continuous" else (64, 144, 256)
    growth = measure(name, measured()[name], lengths, SMALL)
    # What is left to come near the law: terms of lower order, such as the gradients of the parameters.
    assert growth.exponent == pytest.approx(EXPONENTS[name], abs=0.15)


@pytest.mark.parametrize(
    ("adjoint", "setup", "states"),
    [
        (DiscreteAdjoint(), LARGE, 1.0),
        (Checkpointed(every=8), WIDE, (1 + RANDOM_STATE / STATE) / 8),
        (Checkpointed(every=8, within=DiscreteAdjoint()), WIDE, (1 + RANDOM_STATE / STATE) / 8),
        (Reversible(chunk=16), WIDE, 0.0),
        (BY_MIDPOINT, WIDE, 1.0),
    ],
    ids=["discrete", "checkpointed", "checkpointed-discrete", "reversible", "continuous"],
)
def test_states_kept_of_an_interval(adjoint: Adjoint, setup: Setup, states: float) -> None:
    growth = measure("any", adjoint, (64, 128), setup)
    # A few bytes an interval are scalars of the loop, 4 kB are a state.
    assert growth.states_an_interval == pytest.approx(states, rel=0.02, abs=0.005)


def peak_states(
    solver: Solver,
    adjoint: Adjoint,
    length: int,
    *,
    field: Callable[[int, int], VectorField] = AntisymmetricField,
    save: Save = "end",
    inputs: int = 1,
    of_input: bool = False,
    of_end: bool = False,
) -> float:
    """The peak of forward and backward in states, with a loss on the output if there is one, or on the end alone."""
    rnn = ODERNN(field(inputs, WIDE.units), solver, dt=0.001, adjoint=adjoint, engine="torch")
    x = torch.randn(length, WIDE.batch, inputs, requires_grad=of_input)
    y0 = torch.randn(1, WIDE.batch, WIDE.units)

    def call() -> None:
        output, y = rnn(x, y0, save=save)
        (y if output is None or of_end else output).sum().backward()

    return peak_bytes(call, CPU) / STATE


def slope(solver: Solver, adjoint: Adjoint, **setup: Any) -> float:
    """States for each further interval."""
    short, long = (peak_states(solver, adjoint, length, **setup) for length in PARTS)
    return (long - short) / (PARTS[1] - PARTS[0])


def test_autograd_grows_with_the_number_of_stages() -> None:
    euler, rk4 = slope(Euler(), Autograd()), slope(RK4(), Autograd())
    # Of each further stage its state, for the product with K, and its tanh.
    assert (rk4 - euler) / 3 == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("every", [16, 32])
def test_checkpointed_holds_the_tape_of_a_part(every: int) -> None:
    """Twice as long a part: the tape of `every` intervals more, and half of the states at the parts' starts less."""
    length = 128
    tape = slope(Euler(), Autograd()) * every
    fewer = length / every / 2 * (1 + RANDOM_STATE / STATE)
    peaks = [peak_states(Euler(), Checkpointed(every=k), length) for k in (every, 2 * every)]
    assert peaks[1] - peaks[0] == pytest.approx(tape - fewer, rel=0.05)  # two states at the ends of the tape


def test_checkpointed_by_default_takes_parts_of_the_square_root() -> None:
    assert peak_states(Euler(), Checkpointed(), 144) == peak_states(Euler(), Checkpointed(every=12), 144)


@pytest.mark.parametrize("of_end", [True, False])
@pytest.mark.parametrize("adjoint", [Reversible(chunk=16), BY_MIDPOINT], ids=["reversible", "continuous"])
def test_the_output_is_all_that_is_held_of_an_interval(adjoint: Adjoint, of_end: bool) -> None:
    """Whether the loss looks at it, the gradient of a sum being one number that is expanded, or at the end only."""
    growth = slope(Leapfrog(), adjoint, field=HamiltonianField, save="trajectory", of_end=of_end)
    assert growth == pytest.approx(1, rel=0.02)


def test_what_continuous_holds_besides_is_one_part_of_64_intervals() -> None:
    """The control of the part and the gradients by it, a state each, and what torchdiffeq makes for one interval."""
    length = 128
    fixed = peak_states(Leapfrog(), Continuous(MIDPOINT), length, field=HamiltonianField) - length
    assert 2 * 64 < fixed < 4 * 64


@pytest.mark.parametrize(
    ("adjoint", "states"), [(Reversible(chunk=16), 0.0), (BY_MIDPOINT, 1.0)], ids=["reversible", "continuous"]
)
def test_an_input_that_needs_a_gradient_costs_that_gradient(adjoint: Adjoint, states: float) -> None:
    inputs = WIDE.units  # so many that the backward pass holds the most
    growth = slope(Leapfrog(), adjoint, field=HamiltonianField, inputs=inputs, of_input=True)
    assert growth == pytest.approx(states + inputs / WIDE.units, rel=0.05)


def test_command_writes_table_numbers_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--lengths 16,8,32 --adjoints discrete,autograd --batch 2 --units 4 --save trajectory --out"
    assert main([*arguments.split(), str(tmp_path / "new")]) == OK
    record = json.loads((tmp_path / "new" / "memory.json").read_text(encoding="utf-8"))
    assert record["setup"] == {"batch": 2, "units": 4, "save": "trajectory", "device": "cpu", "dt": 0.001}
    assert [one["adjoint"] for one in record["adjoints"]] == ["discrete", "autograd"]
    for one in record["adjoints"]:
        assert list(one["peaks"]) == ["8", "16", "32"]
        assert 0 < one["peaks"]["8"] < one["peaks"]["16"] < one["peaks"]["32"]
    table = (tmp_path / "new" / "memory.md").read_text(encoding="utf-8")
    assert "| adjoint | 8 | 16 | 32 | exponent | states |" in table
    assert matplotlib.image.imread(tmp_path / "new" / "memory.png").std() > 0.01  # something is drawn
    shown = capsys.readouterr().out
    assert "discrete" in shown
    assert "autograd" in shown


def test_table_shows_what_was_not_measured_and_why() -> None:
    lines = to_markdown(
        [Growth("a", {8: 999, 16: 2_000, 32: 4_000_000_000}, 100), Growth("b", {8: 999_600}, 100, "slow")]
    ).splitlines()
    assert lines[2] == "| a | 0.000999 | 0.002 | 4,000 | 1.50 | 2499998.75 |"
    assert lines[3] == "| b | 1 | – | – | – | – |"
    assert lines[-1] == "b: slow"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--adjoints discrete,magic", "`--adjoints` names 'magic'; choose from discrete, autograd, "),
        ("--units 5", "`--units` is 5; the state is two equal halves: give an even number"),
        pytest.param(
            "--device cuda",
            "`--device` is cuda and torch finds none here",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_wrong_value_is_named(arguments: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        main([*arguments.split(), "--out", str(tmp_path / "new")])
    assert said in str(raised.value)
    assert not (tmp_path / "new").exists()


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="cannot be written to"):
        main(["--out", str(file / "new")])


@pytest.mark.parametrize("arguments", ["--lengths 0", "--lengths 8,x", "--batch 0", "--save all", "--device abacus"])
def test_usage_is_shown_for_what_is_no_value(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments.split())
    assert "usage: python -m benchmarks memory" in capsys.readouterr().err


def test_page_shows_the_table_as_it_was_measured() -> None:
    root = Path(__file__).parents[3]
    measured_lines = (root / "benchmarks" / "results" / "memory.md").read_text(encoding="utf-8").splitlines()
    page = (root / "docs" / "memory.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith("|")] == [line for line in measured_lines if line.startswith("|")]
