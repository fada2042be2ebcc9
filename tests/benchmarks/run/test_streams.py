"""Runs on streams: stopped or not, by one process or by two, they end the same, and report the score of the text."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cli import main
from benchmarks.commands.train import parse
from benchmarks.compare.subject import read_subject
from benchmarks.data import DataChecksumWarning
from benchmarks.models.learner import Learner
from benchmarks.report.result import RunResult, read_result
from benchmarks.run.restore import BEST, restore
from benchmarks.run.shares import check_shares
from benchmarks.run.train import train
from benchmarks.run.twins import train_twin
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.support.errors import OK, UserError
from benchmarks.tasks import PTBCharacters
from tests.pairs import crossed

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")

# At such a rate some epochs are worse than those before, as a rule: there are plateaus.
SMALL = (
    *("--epochs", "5", "--seed", "3", "--model.hidden_size", "8", "--model.embedding", "4", "--progress", "none"),
    *("--task.batch_size", "40", "--task.sequence_length", "25", "--trainer.threads", "1"),
    *("--trainer.accelerator", "cpu", "--optimizer.lr", "0.3"),
)
EVERYTHING = (
    *("--model.input_dropout", "0.1", "--model.output_dropout", "0.2"),
    *("--average.kind", "swa", "--average.start", "0.3"),
)
EXTRAS = {"dropout and average": EVERYTHING, "plain": ()}
ROWS = ("antisymmetric", "gated", "oscillator", "lstm")


def run(row: str, out: Path, data: Path, *options: str) -> RunResult:
    return train(parse([f"ptb-characters/{row}", *SMALL, *options, "--data", str(data), "--out", str(out)]))


def checkpoint(out: Path, row: str) -> dict[str, Any]:
    return torch.load(out / "ptb-characters" / row / "seed-3" / "last.ckpt", weights_only=True)


def stop(self: Learner, batch: Any, batch_idx: int) -> None:
    if (self.current_epoch, batch_idx) == (3, 2):
        raise InterruptedError("stopped")


@crossed({"row": list(ROWS), "extras": list(EXTRAS)}, strength=1)
def test_a_stopped_run_ends_as_one_that_was_never_stopped(
    row: str, extras: str, tmp_path: Path, small_text_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EXTRAS[extras]
    whole = run(row, tmp_path / "whole", small_text_dir, *options)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_start", stop)
        with pytest.raises(InterruptedError):
            run(row, tmp_path / "stopped", small_text_dir, *options)
    stopped = run(row, tmp_path / "stopped", small_text_dir, *options)
    assert whole.metrics == stopped.metrics
    rows = [[(epoch.train, epoch.val, epoch.lr) for epoch in result.history] for result in (whole, stopped)]
    assert rows[0] == rows[1]
    one, other = (checkpoint(tmp_path / which, row) for which in ("whole", "stopped"))
    assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())
    assert one["plateaus"] == other["plateaus"]


def test_the_rate_is_halved_after_each_epoch_that_is_no_better(
    tmp_path: Path, small_text_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = 1e-30  # which changes no weight, so that no epoch is better than the first
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_batch_start", stop)
        with pytest.raises(InterruptedError):
            run("gated", tmp_path, small_text_dir, "--optimizer.lr", str(rate))
    history = run("gated", tmp_path, small_text_dir, "--optimizer.lr", str(rate)).history
    assert len({epoch.val["bits"] for epoch in history}) == 1
    assert [epoch.lr for epoch in history] == [rate, rate / 2, rate / 4, rate / 8, rate / 16]


@pytest.mark.parametrize("row", ["antisymmetric", "lstm"])
def test_the_score_is_that_of_each_stream_read_in_one_piece(row: str, tmp_path: Path, small_text_dir: Path) -> None:
    result = run(row, tmp_path, small_text_dir, "--epochs", "1", "--optimizer.lr", "0.01")
    assert result.scores is not None
    restored = restore(tmp_path / "ptb-characters" / row / "seed-3", small_text_dir)
    tokens = restored.task.splits.test.tokens  # pyright: ignore[reportAttributeAccessIssue]
    steps = (len(tokens) - 1) // 10
    x = torch.nn.functional.one_hot(tokens[: 10 * steps].reshape(10, steps), 50).float()
    output = restored.networks[BEST](x).detach()
    loss = torch.nn.functional.cross_entropy(output.flatten(0, 1), tokens[1 : 10 * steps + 1])
    # Sums of 1,600 numbers in float32, in other pieces.
    assert result.scores.test == pytest.approx(loss.item() / math.log(2), rel=1e-5)
    assert f"test {result.scores.test:.3f} bits a character" in result.summary


@pytest.mark.parametrize("row", ROWS)
def test_a_limit_may_leave_some_streams_before_others(row: str, tmp_path: Path, small_text_dir: Path) -> None:
    result = run(row, tmp_path, small_text_dir, "--task.limit", "57", "--epochs", "1")  # 40 streams, and 17 go on
    assert result.status == "finished"
    assert result.variants == ["first 57 samples"]


def test_a_comparison_reads_the_streams_through_the_embedding(tmp_path: Path, small_text_dir: Path) -> None:
    result = run("gated", tmp_path, small_text_dir, "--epochs", "1", "--optimizer.lr", "0.01")
    subject = read_subject(tmp_path / "ptb-characters" / "gated" / "seed-3", small_text_dir, "test", 10**6, 4)
    assert subject.x.shape == (4, 25, 4)  # what the layer reads: 25 steps of an embedding of 4
    scores = subject.score(subject.rnn)
    assert scores is not None
    assert result.scores is not None
    # The same batches, by the same operations.
    assert scores["bits"] == pytest.approx(result.scores.test, rel=1e-6)


def test_two_processes_give_the_numbers_of_one(tmp_path: Path, small_text_dir: Path) -> None:
    command = ["train", "ptb-characters/antisymmetric", *SMALL, "--data", str(small_text_dir)]
    command += ["--epochs", "2", "--trainer.precision", "64-true", "--optimizer.lr", "0.01"]
    assert main([*command, "--out", str(tmp_path / "one")]) == OK
    assert main([*command, "--out", str(tmp_path / "two"), "--devices", "2"]) == OK
    path = Path("ptb-characters", "antisymmetric", "seed-3", "result.json")
    one, two = (read_result(tmp_path / count / path) for count in ("one", "two"))
    for epoch, other in zip(one.history, two.history, strict=True):
        # In float64 the two differ by the order of sums only, which the steps of the optimizer make larger.
        assert epoch.val == pytest.approx(other.val, rel=1e-9)
        assert epoch.train == pytest.approx(other.train, rel=1e-9)


def test_streams_that_cannot_be_shared_are_refused(small_text_dir: Path) -> None:
    task = PTBCharacters(data_dir=small_text_dir, batch_size=12, eval_batch_size=10, sequence_length=8)
    task.setup()
    check_shares(task, 2)
    with pytest.raises(UserError, match=r"`task\.eval_batch_size` is 10 sequences, which 3 devices cannot share"):
        check_shares(task, 3)


def test_twins_carry_the_state_too_and_refuse_plateaus(small_text_dir: Path) -> None:
    name = find_run("ptb-characters/antisymmetric")
    settings = read_settings(name, [*SMALL[2:8], "--model.input_dropout", "0.2"])
    task = PTBCharacters(data_dir=small_text_dir, batch_size=40, sequence_length=25)
    task.setup()
    with pytest.raises(UserError, match=r"`schedule.plateau_factor` is 0\.5, and twins train without validation"):
        train_twin(settings, task, 3, 1e-7, 0)
    settings = read_settings(name, [*SMALL[2:8], "--model.input_dropout", "0.2", "--schedule.plateau_factor", "1"])
    one = train_twin(settings, task, 7, 1e-7, 0)
    torch.rand(1)  # whatever is drawn between them
    same = train_twin(settings, task, 7, 1e-7, 0)
    assert all(map(torch.equal, one.weights, same.weights))  # a dropout draws the same for both
    assert (one.norms, one.score) == (same.norms, same.score)
