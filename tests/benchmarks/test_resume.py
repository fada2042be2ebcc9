"""The resume law: a run killed at any moment and started again ends as one that was never killed, to the last bit."""

import csv
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from torch import Tensor

from benchmarks.commands.train import parse
from benchmarks.models import network as models
from benchmarks.models.learner import Learner
from benchmarks.report.result import RunResult, read_result
from benchmarks.run import checkpoint
from benchmarks.run import history as record
from benchmarks.run.history import RunHistory
from benchmarks.run.train import train
from benchmarks.support import atomic as files

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")

# One thread: sums over threads are the same only for the same number of them.
ARGS = (
    *("digits/antisymmetric", "--seed", "3", "--progress", "none", "--trainer.threads", "1"),
    *("--model.hidden_size", "8", "--task.batch_size", "300", "--trainer.accelerator", "cpu"),
)
EPOCHS = 4
KILLED = -signal.SIGKILL if hasattr(signal, "SIGKILL") else None
ROOT = Path(__file__).parents[2]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# Each of these arranges, in a process of its own, for a kill -9 at one moment of a run.


def in_step(epoch: int, step: int) -> None:
    add_noise()
    training_step = Learner.training_step

    def patched(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        if (self.current_epoch + 1, batch_idx + 1) == (epoch, step):
            kill()
        return training_step(self, batch, batch_idx)

    Learner.training_step = patched


def half_way_through_checkpoint(epoch: int) -> None:
    add_noise()
    write = checkpoint.write_atomically

    def patched(path: Path, content: Callable[[BinaryIO], None]) -> None:
        def half(stream: BinaryIO) -> None:
            content(stream)
            stream.truncate(stream.tell() // 2)
            stream.flush()
            kill()

        saved = io.BytesIO()
        content(saved)
        saved.seek(0)
        is_due = torch.load(saved, weights_only=True)["epoch"] + 1 == epoch
        write(path, half if is_due else content)

    checkpoint.write_atomically = patched


def before_renaming_checkpoint(count: int) -> None:
    add_noise()
    replace, seen = os.replace, []

    def patched(source: Path, target: Path) -> None:
        if Path(target).name == "last.ckpt":
            seen.append(target)
            if len(seen) == count:
                kill()
        replace(source, target)

    files.os.replace = patched


def between_checkpoint_and_log(epoch: int) -> None:
    add_noise()
    write = record.write_text

    def patched(path: Path, text: str) -> None:
        if text.count("\n") == epoch + 1:
            kill()
        write(path, text)

    record.write_text = patched


def in_test() -> None:
    add_noise()

    def patched(self: Learner, batch: Any, batch_idx: int) -> None:
        kill()

    Learner.test_step = patched


def before_result() -> None:
    add_noise()

    def patched(path: Path, result: RunResult) -> None:
        kill()

    train.__globals__["write_result"] = patched


def never() -> None:
    add_noise()


def add_noise() -> None:
    """Makes the network draw random numbers in training, as a dropout would."""
    forward = models.SequenceNetwork.forward

    def patched(self: models.SequenceNetwork, x: Tensor) -> Tensor:
        return forward(self, x + 0.1 * torch.randn_like(x) if self.training else x)

    models.SequenceNetwork.forward = patched


def in_peace() -> None:
    """As the command line runs it."""


def start(out: Path, epochs: int, arrange: Callable[..., None], args: tuple[int, ...]) -> None:
    """What the child processes do."""
    arrange(*args)
    train(parse([*ARGS, "--epochs", str(epochs), "--out", str(out)]))


@pytest.fixture(scope="module")
def run() -> Callable[..., int | None]:
    """Starts the run in a process of its own and gives its exit code."""
    # A fork server imports torch and lightning once for all children; where there is none each does so itself.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["benchmarks.run.train", "benchmarks.commands.train", "pytest"])

    def start_and_wait(out: Path, arrange: Callable[..., None], *args: int, epochs: int = EPOCHS) -> int | None:
        process = context.Process(target=start, args=(out, epochs, arrange, args))
        process.start()
        process.join(120)
        return process.exitcode

    return start_and_wait


def folder(out: Path) -> Path:
    return out / "digits" / "antisymmetric" / "seed-3"


def load(out: Path) -> dict[str, Any]:
    return torch.load(folder(out) / "last.ckpt", weights_only=True)


def kept(state: dict[str, Any]) -> dict[str, Any]:
    """What RunHistory put into a checkpoint."""
    return state["callbacks"][RunHistory.__qualname__]


def log(out: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO((folder(out) / "metrics.csv").read_text())))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def assert_same_run(out: Path, reference: Path) -> None:
    ours, theirs = load(out), load(reference)
    pairs = {
        "last weights": (ours["state_dict"], theirs["state_dict"]),
        "best weights": (kept(ours)["best"], kept(theirs)["best"]),
        **{
            f"optimizer {index}": (ours["optimizer_states"][0]["state"][index], state)
            for index, state in theirs["optimizer_states"][0]["state"].items()
        },
    }
    for what, (one, other) in pairs.items():
        assert one.keys() == other.keys(), what
        for name in one:
            assert torch.equal(one[name], other[name]), f"{what}: {name}"
    assert ours["lr_schedulers"] == theirs["lr_schedulers"]
    assert log(out) == log(reference)
    one, other = (read_result(folder(path) / "result.json") for path in (out, reference))
    assert (one.metrics, one.best_epoch) == (other.metrics, other.best_epoch)


@pytest.fixture(scope="module")
def reference(run: Callable[..., int | None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is never killed."""
    out = tmp_path_factory.mktemp("reference")
    assert run(out, never) == 0
    return out


def test_run_killed_again_and_again_ends_as_one_never_killed(
    run: Callable[..., int | None], reference: Path, tmp_path: Path
) -> None:
    moments = [
        (in_step, 1, 2),  # nothing is saved yet
        (half_way_through_checkpoint, 1),  # the first checkpoint
        (in_step, 2, 1),
        (half_way_through_checkpoint, 2),  # over an older one
        (before_renaming_checkpoint, 1),
        (between_checkpoint_and_log, 2),
        (in_step, 4, 5),
        (in_test,),
        (before_result,),
    ]
    for arrange, *args in moments:
        assert run(tmp_path, arrange, *args) == KILLED, arrange.__name__
    assert run(tmp_path, never) == 0
    assert_same_run(tmp_path, reference)


def test_log_is_whole_after_a_kill_between_checkpoint_and_log(run: Callable[..., int | None], tmp_path: Path) -> None:
    assert run(tmp_path, between_checkpoint_and_log, 2) == KILLED
    assert len(log(tmp_path)) == 1
    assert run(tmp_path, in_step, 3, 1) == KILLED
    assert [row["epoch"] for row in log(tmp_path)] == ["1", "2"]


def test_log_never_has_an_epoch_that_no_checkpoint_has(run: Callable[..., int | None], tmp_path: Path) -> None:
    assert run(tmp_path, before_renaming_checkpoint, 2) == KILLED
    assert [row["epoch"] for row in log(tmp_path)] == ["1"]


def test_finished_run_is_not_trained_again(run: Callable[..., int | None], reference: Path) -> None:
    before = (folder(reference) / "last.ckpt").stat().st_mtime_ns
    assert run(reference, in_step, 1, 1) == 0
    assert run(reference, in_test) == 0
    assert (folder(reference) / "last.ckpt").stat().st_mtime_ns == before


def test_command_killed_from_outside_goes_on(run: Callable[..., int | None], tmp_path: Path) -> None:
    epochs = 40  # enough of them to be killed among
    out, reference = tmp_path / "killed", tmp_path / "reference"
    command = [sys.executable, "-m", "benchmarks", "train", *ARGS, "--epochs", str(epochs), "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (folder(out) / "metrics.csv").exists() or len(log(out)) < 3:
            assert process.poll() is None, "it ended too early"
            assert time.monotonic() < deadline, "it did not begin"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == KILLED
    assert 3 <= len(log(out)) < epochs
    assert run(out, in_peace, epochs=epochs) == 0
    assert run(reference, in_peace, epochs=epochs) == 0
    assert_same_run(out, reference)
