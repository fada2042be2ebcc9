"""A run in a process of its own that is killed at a chosen moment, and what it leaves."""

import csv
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from benchmarks.commands.train import parse
from benchmarks.models import network as models
from benchmarks.models.learner import Learner
from benchmarks.report.result import RunResult, read_result
from benchmarks.run import carry_out, checkpoint
from benchmarks.run import history as record
from benchmarks.run.history import RunHistory
from benchmarks.run.train import train
from benchmarks.support import atomic as files
from tests import children

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

    carry_out.write_result = patched


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


def start(
    out: Path, epochs: int, arrange: Callable[..., None], args: tuple[int, ...], options: tuple[str, ...]
) -> None:
    """What the child processes do."""
    arrange(*args)
    train(parse([*ARGS, "--epochs", str(epochs), "--out", str(out), *options]))


class Starter:
    """Starts the run in a process of its own and gives its exit code."""

    def __init__(self) -> None:
        self.context = children.context()

    def __call__(
        self,
        out: Path,
        arrange: Callable[..., None],
        *args: int,
        epochs: int = EPOCHS,
        options: tuple[str, ...] = (),
    ) -> int | None:
        process = self.context.Process(target=start, args=(out, epochs, arrange, args, options))
        process.start()
        process.join(120)
        return process.exitcode


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
