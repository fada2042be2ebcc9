"""Runs on tasks with something random in their samples, or another objective: stopped or not, they end the same."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.commands.train import parse
from benchmarks.data import DataChecksumWarning
from benchmarks.models.learner import Learner
from benchmarks.report.result import RunResult
from benchmarks.run.train import train

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")

SMALL = (
    *("--epochs", "3", "--seed", "3", "--model.hidden_size", "8", "--task.batch_size", "60", "--progress", "none"),
    *("--trainer.threads", "1", "--trainer.accelerator", "cpu", "--task.val_size", "50"),
)
DRAWN = ("--task.train_size", "150", "--task.test_size", "40")
TASKS = {
    "noise-padded-mnist/gated": ("--task.sequence_length", "40"),
    "adding/antisymmetric": (*DRAWN, "--task.sequence_length", "12"),
    "copy/hamiltonian-leapfrog": (*DRAWN, "--task.recall", "2", "--task.delay", "4"),
    "copy/lstm": (*DRAWN, "--task.recall", "2", "--task.delay", "4"),
}


def run(name: str, out: Path, data: Path) -> RunResult:
    places = ("--data", str(data)) if "mnist" in name else ()
    return train(parse([name, *SMALL, *TASKS[name], *places, "--out", str(out)]))


def stop(self: Learner, batch: Any, batch_idx: int) -> None:
    if (self.current_epoch, batch_idx) == (1, 1):
        raise InterruptedError("stopped")


@pytest.mark.parametrize("name", TASKS)
def test_a_stopped_run_ends_as_one_that_was_never_stopped(
    name: str, tmp_path: Path, small_mnist_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(name, tmp_path / "whole", small_mnist_dir)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_start", stop)
        with pytest.raises(InterruptedError):
            run(name, tmp_path / "stopped", small_mnist_dir)
    stopped = run(name, tmp_path / "stopped", small_mnist_dir)
    assert whole.metrics == stopped.metrics
    assert [(row.train, row.val) for row in whole.history] == [(row.train, row.val) for row in stopped.history]
    one, other = (
        torch.load(tmp_path / which / name / "seed-3" / "last.ckpt", weights_only=True)["state_dict"]
        for which in ("whole", "stopped")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_regression_is_selected_by_its_smallest_error(tmp_path: Path, small_mnist_dir: Path) -> None:
    result = run("adding/antisymmetric", tmp_path, small_mnist_dir)
    errors = [row.val["mse"] for row in result.history]
    assert result.objective == "regression"
    assert result.scores is not None
    assert result.best_epoch == errors.index(min(errors)) + 1
    assert result.scores.val == min(errors)
    assert f"test {result.scores.test:.3g} MSE, validation {min(errors):.3g} MSE" in result.summary
    header = (tmp_path / "adding" / "antisymmetric" / "seed-3" / "metrics.csv").read_text().splitlines()[0]
    assert header == "epoch,train_loss,train_mse,val_loss,val_mse,lr,seconds"


def test_fixed_noise_is_named_in_the_result(tmp_path: Path, small_mnist_dir: Path) -> None:
    name = "noise-padded-mnist/gated"
    options = (*SMALL, *TASKS[name], "--task.fixed_noise", "true", "--data", str(small_mnist_dir))
    result = train(parse([name, *options, "--out", str(tmp_path)]))
    assert result.variants == ["one fixed noise block"]
    assert "(one fixed noise block)" in result.summary
    assert result.method == "AntisymmetricRNN, gated (one fixed noise block)"
