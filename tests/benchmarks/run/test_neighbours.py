"""The tasks of the paper's neighbours, trained on small data in the published layout: every row, stopped or not."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cli import main
from benchmarks.commands.train import parse
from benchmarks.data import DataChecksumWarning
from benchmarks.models.learner import Learner
from benchmarks.report.result import RunResult
from benchmarks.run.train import train
from benchmarks.support.errors import MISUSED
from tests.pairs import crossed

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")

SMALL = (
    *("--epochs", "3", "--seed", "3", "--model.hidden_size", "8", "--progress", "none"),
    *("--trainer.threads", "1", "--trainer.accelerator", "cpu"),
)
OPTIONS = {
    "speech-commands-12": ("--task.batch_size", "12"),
    "har-2": ("--task.val_people", "2", "--task.batch_size", "20"),
}
ROWS = ("antisymmetric", "gated", "oscillator", "lstm")


@pytest.fixture
def folders(small_speech_dir: Path, small_har_dir: Path) -> dict[str, Path]:
    return {"speech-commands-12": small_speech_dir, "har-2": small_har_dir}


def run(name: str, out: Path, data: Path) -> RunResult:
    return train(parse([name, *SMALL, *OPTIONS[name.split("/")[0]], "--data", str(data), "--out", str(out)]))


def stop(self: Learner, batch: Any, batch_idx: int) -> None:
    if (self.current_epoch, batch_idx) == (1, 1):
        raise InterruptedError("stopped")


@crossed({"task": list(OPTIONS), "row": list(ROWS)}, strength=1)
def test_a_stopped_run_ends_as_one_that_was_never_stopped(
    task: str, row: str, tmp_path: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{task}/{row}"
    whole = run(name, tmp_path / "whole", folders[task])
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_start", stop)
        with pytest.raises(InterruptedError):
            run(name, tmp_path / "stopped", folders[task])
    stopped = run(name, tmp_path / "stopped", folders[task])
    assert whole.status == "finished"
    assert whole.metrics == stopped.metrics
    one, other = (
        torch.load(tmp_path / which / name / "seed-3" / "last.ckpt", weights_only=True)["state_dict"]
        for which in ("whole", "stopped")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_speech_has_the_balanced_accuracy_and_the_majority_rate_beside(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    result = run("speech-commands-12/antisymmetric", tmp_path, folders["speech-commands-12"])
    assert result.metrics is not None
    assert list(result.metrics) == ["accuracy", "balanced_accuracy", "majority_rate"]
    # Eleven classes of equal size in the small test part, and no silence.
    assert result.metrics["majority_rate"].test == pytest.approx(1 / 11)
    assert result.metrics["balanced_accuracy"].test == pytest.approx(result.metrics["accuracy"].test)
    assert "share of the most frequent class 9.09 %" in result.summary
    assert not result.comparable  # no checksum knows these files


def test_what_is_wrong_with_the_data_is_told_in_one_line_before_training(
    tmp_path: Path, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(folders["speech-commands-12"], tmp_path / "data"))
    (data / "testing_list.txt").unlink()
    command = ["train", "speech-commands-12/lstm", "--out", str(tmp_path / "out"), "--data"]
    assert main([*command, str(data)]) == MISUSED
    error = capsys.readouterr().err
    assert "Speech Commands is not in the folder that `data_dir` names" in error
    assert "Traceback" not in error
    assert not list((tmp_path / "out").rglob("*.ckpt"))
