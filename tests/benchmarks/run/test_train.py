"""`python -m benchmarks train`: what a run leaves behind, and how it ends when it cannot continue."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.cli import main
from benchmarks.models.learner import Learner
from benchmarks.report.result import RunResult, read_result
from benchmarks.run import progress
from benchmarks.support.errors import FAILED, INTERRUPTED, MISUSED, OK

RUN = "digits/antisymmetric"
SMALL = (
    *("--epochs", "2", "--model.hidden_size", "8", "--task.batch_size", "300"),
    *("--trainer.accelerator", "cpu", "--progress", "none"),
)

Train = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "digits" / "antisymmetric" / "seed-0"


@pytest.fixture
def train(tmp_path: Path) -> Train:
    return lambda *args: main(["train", RUN, *SMALL, "--out", str(tmp_path), *args])


def result_in(folder: Path) -> RunResult:
    return read_result(folder / "result.json")


def test_leaves_settings_log_checkpoint_and_result(
    train: Train, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--seed", "0") == OK
    assert {path.name for path in folder.iterdir()} == {
        ".owner-1.free",
        "config.yaml",
        "metrics.csv",
        "last.ckpt",
        "result.json",
    }
    result = result_in(folder)
    assert yaml.safe_load((folder / "config.yaml").read_text()) == result.settings
    assert (folder / "metrics.csv").read_text().splitlines()[0] == (
        "epoch,train_loss,train_accuracy,val_loss,val_accuracy,lr,seconds"
    )
    assert (result.field, result.solver, result.adjoint, result.hold) == (
        "antisymmetric",
        "euler",
        "autograd",
        "zero-order",
    )
    assert result.dt == result.settings["model"]["dt"]
    assert result.parameters == 8 * 7 // 2 + 2 * 8 + 10 * 8 + 10
    assert result.objective == "classification"
    assert result.scores is not None
    assert result.metrics == {"accuracy": result.scores}
    assert result.scores.val == max(row.val["accuracy"] for row in result.history)
    assert result.scores.train == result.history[-1].train["accuracy"]
    assert result.seconds.training == pytest.approx(sum(row.seconds for row in result.history))
    assert all(data.verified for data in result.data.values())
    assert result.data
    assert result.summary in capsys.readouterr().out


# By epoch: (loss, accuracy). The second and the third are the best, and the third has the lower loss.
GIVEN = [(1.0, 0.5), (0.7, 0.9), (0.6, 0.9), (0.2, 0.3)]


def test_test_data_are_seen_once_and_with_the_best_weights(
    train: Train, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What validation says is given here: which epoch is the best one then depends on no rounding."""
    weights: dict[str, list[dict[str, torch.Tensor]]] = {"val": [], "test": []}
    after_validation, test_step = Learner.on_validation_epoch_end, Learner.test_step

    def note(self: Learner, stage: str) -> None:
        weights[stage].append({name: value.clone() for name, value in self.network.state_dict().items()})

    def given(self: Learner) -> None:
        after_validation(self)
        note(self, "val")
        loss, accuracy = GIVEN[self.current_epoch]
        self.metrics["val"] |= {"loss": loss, "accuracy": accuracy}

    def spy(self: Learner, batch: Any, batch_idx: int) -> None:
        note(self, "test")
        test_step(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "on_validation_epoch_end", given)
    monkeypatch.setattr(Learner, "test_step", spy)
    assert train("--epochs", str(len(GIVEN))) == OK
    result = result_in(folder)
    assert result.best_epoch == 3
    assert result.scores is not None
    assert result.scores.val == 0.9
    (tested,) = weights["test"]  # 300 images are one batch
    saved = torch.load(folder / "last.ckpt", weights_only=True)["callbacks"]["RunHistory"]["best"]
    for epoch, state in enumerate(weights["val"], start=1):
        for found in (tested, saved):
            assert all(found[name].equal(state[name]) for name in state) == (epoch == 3)


def test_ended_run_is_shown_and_overwritten_only_on_demand(
    train: Train, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train() == OK
    first = result_in(folder)
    (folder / "notes.txt").write_text("mine")
    capsys.readouterr()
    assert train() == OK
    assert first.summary in capsys.readouterr().out
    assert result_in(folder) == first
    assert train("--overwrite", "--epochs", "1") == OK
    assert len(result_in(folder).history) == 1
    assert (folder / "notes.txt").read_text() == "mine"


def test_folder_of_other_settings_is_refused(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == OK
    assert train("--model.dt", "0.01", "--epochs", "3") == MISUSED
    said = capsys.readouterr().err
    for text in ("holds a run with other settings", "`epochs` is 2 there, 3 here", "`model.dt`", "--overwrite"):
        assert text in said


def test_another_title_is_the_same_run(train: Train) -> None:
    assert train() == OK
    assert train("--title", "another name") == OK


def test_folder_without_its_settings_is_refused(train: Train, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == OK
    (folder / "config.yaml").unlink()
    assert train() == MISUSED
    assert "holds a run without its config.yaml" in capsys.readouterr().err


def test_divergence_ends_the_run_and_is_its_result(
    train: Train, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--optimizer.lr", "1e38", "--trainer.gradient_clip", "1e30") == FAILED
    result = result_in(folder)
    assert result.status == "diverged"
    assert result.metrics is None
    assert "epoch 1" in str(result.failure)
    assert "diverged" in capsys.readouterr().out
    assert train("--optimizer.lr", "1e38", "--trainer.gradient_clip", "1e30") == FAILED  # and is not tried again


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_is_named_before_the_step(
    train: Train, folder: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    training_step = Learner.training_step

    def patched(self: Learner, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = training_step(self, batch, batch_idx)
        if (self.current_epoch, batch_idx) == (1, 2):
            self._loss = loss + bad  # its gradient stays finite
            return self._loss
        return loss

    monkeypatch.setattr(Learner, "training_step", patched)
    assert train() == FAILED
    result = result_in(folder)
    assert str(result.failure).startswith(f"the training loss is {bad} in epoch 2 at step 3: lower `optimizer.lr`")
    assert len(result.history) == 1


def test_gradient_that_is_not_finite_is_named(train: Train, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def patched(self: Learner) -> None:
        gradient = self.network.readout.weight.grad
        assert gradient is not None
        gradient[0, 0] = float("nan")

    monkeypatch.setattr(Learner, "on_after_backward", patched)
    assert train() == FAILED
    assert str(result_in(folder).failure).startswith("the norm of the gradient is nan in epoch 1 at step 1")


def test_ctrl_c_says_how_to_go_on(
    train: Train, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training_step = Learner.training_step

    def patched(self: Learner, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.current_epoch == 1:
            signal.raise_signal(signal.SIGINT)
        return training_step(self, batch, batch_idx)

    handler = signal.default_int_handler  # a job in the background is started with the signal ignored
    signal.signal(signal.SIGINT, handler)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", patched)
        assert train() == INTERRUPTED
    assert signal.getsignal(signal.SIGINT) is handler
    assert f"python -m benchmarks train {RUN}" in capsys.readouterr().err
    assert not (folder / "result.json").exists()
    assert train() == OK
    assert [row.epoch for row in result_in(folder).history] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 half a file"])
def test_damaged_checkpoint_is_named(
    train: Train, folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train() == OK
    (folder / "result.json").unlink()
    (folder / "last.ckpt").write_bytes(content)
    assert train() == MISUSED
    said = capsys.readouterr().err
    assert "last.ckpt cannot be read" in said
    assert "--overwrite" in said


def test_checkpoint_with_code_in_it_is_not_run(
    train: Train, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train() == OK
    (folder / "result.json").unlink()
    torch.save({"state_dict": Mischief(tmp_path / "done")}, folder / "last.ckpt")
    assert train() == MISUSED
    assert "last.ckpt cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "done").exists()


class Mischief:
    """What a pickle does to who trusts it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_lines_of_progress(train: Train, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    assert train("--progress", "lines") == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{RUN}: epoch 1 of 2: validation ")
    assert lines[1].startswith(f"{RUN}: epoch 2 of 2: validation ")


def test_bar_of_progress(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--progress", "bar", "--epochs", "1") == OK
    assert "Epoch 0" in capsys.readouterr().out
