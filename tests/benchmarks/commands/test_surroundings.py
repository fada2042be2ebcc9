"""Where a command runs: full disks, folders and terminals that do not take what it writes, told in one line."""

import os
import runpy
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.cli import main
from benchmarks.models.learner import Learner
from benchmarks.report.result import read_result, write_result
from benchmarks.support.errors import MISUSED, OK
from tests import children
from tests.benchmarks.synthetic import make_result

RUN = ("digits/antisymmetric", "--model.hidden_size", "8", "--task.batch_size", "300", "--progress", "none")
FOLDER = Path("digits", "antisymmetric", "seed-0")

posix = pytest.mark.skipif(os.name != "posix", reason="limits, permissions and /dev/full are POSIX's")
CONTEXT = children.context()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with one result, of a title that latin-1 does not have."""
    write_result(tmp_path / "result.json", make_result(title="Równanie różniczkowe"))
    return tmp_path


def report_in_latin_1(out: Path, log: Path) -> None:
    """What a child does: the program, on a terminal that has Western European letters only."""
    sys.argv = ["benchmarks", "report", "--out", str(out)]
    with log.open("w", encoding="latin-1", buffering=1) as sys.stdout:
        sys.stderr = sys.stdout
        runpy.run_module("benchmarks", run_name="__main__")


def test_report_survives_a_terminal_of_few_characters(results: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = CONTEXT.Process(target=report_in_latin_1, args=(results, log))
    child.start()
    child.join(240)
    said = log.read_bytes()
    assert child.exitcode == OK, said
    assert b"nanie r" in said
    assert b"rror" not in said
    assert "Równanie różniczkowe | – | 90.0" in (results / "report.md").read_text(encoding="utf-8")


def report_into_a_closed_pipe(out: Path, log: Path) -> None:
    """What a child does: the program, with nobody who reads what it shows, up to the flush at its end."""
    with log.open("w", buffering=1) as sys.stderr:
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it is closed at the end, as a program's is
        code = main(["report", "--out", str(out)])
        sys.stdout.close()
        sys.exit(code)


@posix
def test_report_is_written_before_it_is_shown_and_survives_a_closed_pipe(results: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = CONTEXT.Process(target=report_into_a_closed_pipe, args=(results, log))
    child.start()
    child.join(240)
    assert child.exitcode != OK
    assert "Traceback" not in log.read_text()
    assert (results / "report.md").exists()


class Interrupting(MetaPathFinder):
    """Ctrl-C while the program is imported."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "benchmarks.cli":
            signal.raise_signal(signal.SIGINT)


def interrupted_at_once(log: Path) -> None:
    """What a child does: the program, stopped before it has begun."""
    sys.argv = ["benchmarks", "report"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules.pop("benchmarks.cli")
    sys.meta_path.insert(0, Interrupting())
    with log.open("w", buffering=1) as sys.stderr:
        runpy.run_module("benchmarks", run_name="__main__")


@posix
def test_an_interrupt_before_it_has_begun_has_no_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = CONTEXT.Process(target=interrupted_at_once, args=(log,))
    child.start()
    child.join(240)
    assert child.exitcode == -signal.SIGINT, log.read_text()
    assert not log.read_text()


# --- disks ---


def train_with_space(out: Path, log: Path, size: int) -> None:
    """What a child does: trains where no file may be longer than `size`, as if the disk were full."""
    import resource

    with log.open("w", buffering=1) as sys.stderr:
        training_step = Learner.training_step

        def patched(self: Learner, batch: Any, batch_idx: int) -> Any:
            if self.current_epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            return training_step(self, batch, batch_idx)

        Learner.training_step = patched
        sys.exit(main(["train", *RUN, "--epochs", "3", "--out", str(out)]))


@posix
def test_full_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = CONTEXT.Process(target=train_with_space, args=(tmp_path, log, 1000))
    child.start()
    child.join(240)
    assert child.exitcode == MISUSED
    (said,) = log.read_text().splitlines()
    assert said.startswith(f"error: the output folder {tmp_path / FOLDER} cannot be written to: ")
    assert "last.ckpt" in said
    assert "continues from the last finished epoch" in said
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [
        ".owner-1.free",
        "config.yaml",
        "last.ckpt",
        "metrics.csv",
    ]
    assert main(["train", *RUN, "--epochs", "3", "--out", str(tmp_path)]) == OK
    assert [row.epoch for row in read_result(tmp_path / FOLDER / "result.json").history] == [1, 2, 3]


# --- folders that may only be read ---


@pytest.fixture
def protected() -> Iterator[Path]:
    """A folder with a finished run that everybody may read and only its owner may write to."""
    out = Path(tempfile.mkdtemp())
    assert main(["train", *RUN, "--epochs", "1", "--out", str(out)]) == OK
    for path in (out, *out.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield out
    for path in (out, *out.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(out)


def command_as_nobody(log: Path, argv: tuple[str, ...]) -> None:
    """What a child does: a command, by a user who may not write."""
    with log.open("w", buffering=1) as sys.stderr:
        sys.stdout = sys.stderr
        if os.geteuid() == 0:  # to whom permissions mean nothing
            os.seteuid(65534)
        sys.exit(main(argv))


def run_as_nobody(log: Path, *argv: str) -> tuple[int | None, str]:
    child = CONTEXT.Process(target=command_as_nobody, args=(log, argv))
    child.start()
    child.join(240)
    return child.exitcode, log.read_text()


@posix
def test_finished_run_is_shown_where_nobody_may_write(protected: Path, tmp_path: Path) -> None:
    code, said = run_as_nobody(tmp_path / "log", "train", *RUN, "--epochs", "1", "--out", str(protected))
    assert code == OK, said
    assert read_result(protected / FOLDER / "result.json").summary in said


@posix
@pytest.mark.parametrize("args", [("--seed", "0", "--overwrite"), ("--seed", "1")])
def test_training_where_nobody_may_write_is_refused(protected: Path, tmp_path: Path, args: tuple[str, ...]) -> None:
    code, said = run_as_nobody(tmp_path / "log", "train", *RUN, "--epochs", "1", "--out", str(protected), *args)
    assert code == MISUSED
    (line,) = said.splitlines()
    assert line.startswith(f"error: the output folder {protected}")
    assert "Permission denied" in line
    assert "choose another with `--out`" in line
    assert yaml.safe_load((protected / FOLDER / "config.yaml").read_text())["seed"] == 0


@posix
def test_report_where_nobody_may_write_is_shown_and_the_folder_named(protected: Path, tmp_path: Path) -> None:
    code, said = run_as_nobody(tmp_path / "log", "report", "--out", str(protected))
    assert code == MISUSED
    assert "AntisymmetricRNN" in said
    assert f"error: the report cannot be written to {protected}: " in said
    assert not (protected / "report.md").exists()


@posix
def test_ctrl_c_while_waiting_for_another_process_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / ".owner-1").write_text("")  # of a machine that has not said who it is
    monkeypatch.setattr("benchmarks.run.pool.POLL", 0.01)
    monkeypatch.setattr("benchmarks.run.pool.time.sleep", lambda seconds: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started with it ignored
    command = ["reproduce", "digits", "--rows", "antisymmetric", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]
    assert main(command) == 130
    assert "the same command continues from the last finished epoch" in capsys.readouterr().err
