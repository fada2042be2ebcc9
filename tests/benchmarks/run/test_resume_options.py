"""The resume law under all options at once: rows in which every two values of two options meet."""

import signal
from pathlib import Path

import pytest
import torch

from tests.benchmarks.run.killed_runs import KILLED, Starter, assert_same_run, folder, in_step, load, never
from tests.pairs import crossed

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


def options_of(**values: str) -> Option:
    return sum((OPTIONS[name][value] for name, value in values.items()), ())


@pytest.fixture(scope="module")
def run() -> Starter:
    return Starter()


# Each part keeps its own state and needs one row only; the average is of the groups of weights that have rates.
@crossed(
    {name: list(values) for name, values in OPTIONS.items()},
    once={name: list(OPTIONS[name]) for name in ("optimizer", "logger", "precision", "schedule", "clip")},
)
def test_run_killed_in_the_middle_ends_as_one_never_killed(
    run: Starter,
    tmp_path: Path,
    optimizer: str,
    average: str,
    precision: str,
    schedule: str,
    rates: str,
    clip: str,
    logger: str,
) -> None:
    names = {"optimizer": optimizer, "average": average, "precision": precision, "schedule": schedule}
    options = options_of(**names, rates=rates, clip=clip, logger=logger)
    reference, out = tmp_path / "reference", tmp_path / "killed"
    assert run(reference, never, epochs=2, options=options) == 0
    assert run(out, in_step, 2, 3, epochs=2, options=options) == KILLED
    assert run(out, never, epochs=2, options=options) == 0
    assert_same_run(out, reference)


def test_what_is_kept_is_the_average_in_its_precision(run: Starter, tmp_path: Path) -> None:
    options = options_of(average="ema", precision="64-true", rates="two")
    assert run(tmp_path, never, epochs=1, options=options) == 0
    state = load(tmp_path)
    best = state["callbacks"]["RunHistory"]["best"]
    for name, value in best.items():
        # The average is what was evaluated and kept; the weights that training continues with are others.
        assert torch.equal(value, state["state_dict"][f"average.module.{name}"])
        assert value.dtype == torch.float64
    assert not all(torch.equal(value, state["state_dict"][f"network.{name}"]) for name, value in best.items())
    assert (folder(tmp_path) / "result.json").exists()
