"""The resume law under all options at once: rows in which every two values of two options meet."""

import itertools
import signal
from pathlib import Path

import pytest
import torch

from tests.benchmarks.run.killed_runs import KILLED, Starter, assert_same_run, folder, in_step, load, never

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")

Option = tuple[str, ...]
OPTIONS: dict[str, dict[str, Option]] = {
    "optimizer": {
        "sgd": ("--optimizer.name", "sgd", "--optimizer.momentum", "0.9"),
        "adagrad": ("--optimizer.name", "adagrad"),
        "rmsprop": ("--optimizer.name", "rmsprop", "--optimizer.momentum", "0.5"),
        "adam": ("--optimizer.name", "adam", "--optimizer.betas", "[0.9, 0.99]"),
    },
    "average": {
        "none": ("--average.kind", "none"),
        "ema": ("--average.kind", "ema", "--average.decay", "0.9"),
        "swa": ("--average.kind", "swa", "--average.start", "0.4"),
    },
    "precision": {name: ("--trainer.precision", name) for name in ("32-true", "64-true", "bf16-mixed")},
    "schedule": {
        "one-cycle": ("--schedule.shape", "cosine", "--schedule.warm_up", "0.3"),
        "steps": ("--schedule.shape", "constant", "--schedule.milestones", "[0.5, 0.9]"),
    },
    "rates": {
        "one": (),
        "two": ("--optimizer.scaled", '["*.field.recurrent.*"]', "--optimizer.scale", "0.1"),
    },
    "clip": {
        "norm": ("--trainer.gradient_clip", "1.0", "--trainer.gradient_clip_by", "norm"),
        "value": ("--trainer.gradient_clip", "0.01", "--trainer.gradient_clip_by", "value"),
    },
    "logger": {"none": (), "tensorboard": ("--loggers", "tensorboard")},
}
Row = tuple[str, ...]


def pairs_of(row: Row) -> set[tuple[int, str, int, str]]:
    places = list(enumerate(row))
    return {(i, one, j, other) for (i, one), (j, other) in itertools.combinations(places, 2)}


def pairwise() -> list[Row]:
    """Rows that cover every pair of values of two options: at each turn the one with the most pairs not yet covered."""
    rows = list(itertools.product(*OPTIONS.values()))
    left = set().union(*map(pairs_of, rows))
    chosen = []
    while left:
        best = max(rows, key=lambda row: len(pairs_of(row) & left))
        chosen.append(best)
        left -= pairs_of(best)
    return chosen


ROWS = pairwise()


def options_of(row: Row) -> Option:
    return sum((values[value] for values, value in zip(OPTIONS.values(), row, strict=True)), ())


@pytest.fixture(scope="module")
def run() -> Starter:
    return Starter()


@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_run_killed_in_the_middle_ends_as_one_never_killed(run: Starter, tmp_path: Path, row: Row) -> None:
    options = options_of(row)
    reference, out = tmp_path / "reference", tmp_path / "killed"
    assert run(reference, never, epochs=2, options=options) == 0
    assert run(out, in_step, 2, 3, epochs=2, options=options) == KILLED
    assert run(out, never, epochs=2, options=options) == 0
    assert_same_run(out, reference)


def test_the_rows_hold_every_option_in_what_is_kept(run: Starter, tmp_path: Path) -> None:
    options = options_of(next(row for row in ROWS if {"ema", "64-true"} <= set(row)))
    assert run(tmp_path, never, epochs=1, options=options) == 0
    state = load(tmp_path)
    best = state["callbacks"]["RunHistory"]["best"]
    for name, value in best.items():
        # The average is what was evaluated and kept; the weights that training continues with are others.
        assert torch.equal(value, state["state_dict"][f"average.module.{name}"])
        assert value.dtype == torch.float64
    assert not all(torch.equal(value, state["state_dict"][f"network.{name}"]) for name, value in best.items())
    assert (folder(tmp_path) / "result.json").exists()
