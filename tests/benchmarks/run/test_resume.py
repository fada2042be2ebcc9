"""The resume law: a run killed at any moment and started again ends as one that was never killed, to the last bit."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
ROOT = Path(__file__).parents[3]


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


# The command in a process that says when it is in the middle of its third epoch, and waits there.
COMMAND = """
import sys
from benchmarks.models.learner import Learner
from benchmarks.cli import main
training_step = Learner.training_step
def patched(self, batch, batch_idx):
    if (self.current_epoch + 1, batch_idx + 1) == (3, 2):
        print("in the third epoch", flush=True)
        sys.stdin.read()
    return training_step(self, batch, batch_idx)
Learner.training_step = patched
sys.exit(main(sys.argv[1:]))
"""


def test_command_killed_from_outside_goes_on(run: Starter, tmp_path: Path) -> None:
    out, reference = tmp_path / "killed", tmp_path / "reference"
    command = [sys.executable, "-c", COMMAND, "train", *ARGS, "--epochs", str(EPOCHS), "--out", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said == "in the third epoch\n"
    assert process.returncode == KILLED
    assert [row["epoch"] for row in log(out)] == ["1", "2"]
    assert run(out, in_peace) == 0
    assert run(reference, in_peace) == 0
    assert_same_run(out, reference)
