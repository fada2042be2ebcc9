"""The resume law: a run killed at any moment and started again ends as one that was never killed, to the last bit."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from benchmarks.cli import main
from benchmarks.models.learner import Learner
from tests.benchmarks.run.killed_runs import (
    ARGS,
    EPOCHS,
    KILLED,
    Starter,
    assert_same_run,
    before_renaming_checkpoint,
    before_result,
    between_checkpoint_and_log,
    folder,
    half_way_through_checkpoint,
    in_peace,
    in_step,
    in_test,
    log,
    never,
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")


@pytest.fixture(scope="module")
def run() -> Starter:
    return Starter()


@pytest.fixture(scope="module")
def reference(run: Starter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is never killed."""
    out = tmp_path_factory.mktemp("reference")
    assert run(out, never) == 0
    return out


def test_run_killed_again_and_again_ends_as_one_never_killed(run: Starter, reference: Path, tmp_path: Path) -> None:
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


def test_log_is_whole_after_a_kill_between_checkpoint_and_log(run: Starter, tmp_path: Path) -> None:
    assert run(tmp_path, between_checkpoint_and_log, 2) == KILLED
    assert len(log(tmp_path)) == 1
    assert run(tmp_path, in_step, 3, 1) == KILLED
    assert [row["epoch"] for row in log(tmp_path)] == ["1", "2"]


def test_log_never_has_an_epoch_that_no_checkpoint_has(run: Starter, tmp_path: Path) -> None:
    assert run(tmp_path, before_renaming_checkpoint, 2) == KILLED
    assert [row["epoch"] for row in log(tmp_path)] == ["1"]


def test_finished_run_is_not_trained_again(run: Starter, reference: Path) -> None:
    before = (folder(reference) / "last.ckpt").stat().st_mtime_ns
    assert run(reference, in_step, 1, 1) == 0
    assert run(reference, in_test) == 0
    assert (folder(reference) / "last.ckpt").stat().st_mtime_ns == before


def wait_in_the_third_epoch(out: Path, reached: Any) -> None:
    """What a child does: the command, which says when it is in the middle of its third epoch and waits there."""
    training_step = Learner.training_step

    def patched(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        if (self.current_epoch + 1, batch_idx + 1) == (3, 2):
            reached.set()
            time.sleep(600)  # until it is killed
        return training_step(self, batch, batch_idx)

    Learner.training_step = patched
    sys.exit(main(["train", *ARGS, "--epochs", str(EPOCHS), "--out", str(out)]))


def test_command_killed_from_outside_goes_on(run: Starter, tmp_path: Path) -> None:
    out, reference, reached = tmp_path / "killed", tmp_path / "reference", run.context.Event()
    process = run.context.Process(target=wait_in_the_third_epoch, args=(out, reached))
    process.start()
    assert reached.wait(240)
    process.kill()
    process.join()
    assert process.exitcode == KILLED
    assert [row["epoch"] for row in log(out)] == ["1", "2"]
    assert run(out, in_peace) == 0
    assert run(reference, in_peace) == 0
    assert_same_run(out, reference)
