"""Several `reproduce` on one folder: they share the runs, train none twice, and outlive each other."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.report.result import find_results
from benchmarks.run.lease import look
from tests import children

pytestmark = [pytest.mark.waits, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")]

CONTEXT = children.context()


def run(out: Path, log: Path, args: tuple[str, ...]) -> None:
    """What a child does: one command, its output in a file."""
    with log.open("w", buffering=1) as sys.stdout:
        sys.exit(main(["reproduce", "digits", *args, "--jobs", "1", "--out", str(out)]))


class Reproduce:
    """A command in a process of its own."""

    def __init__(self, out: Path, log: Path, *args: str) -> None:
        self.log = log
        self.process = CONTEXT.Process(target=run, args=(out, log, args))
        self.process.start()

    def end(self) -> str:
        self.process.join(240)
        assert self.process.exitcode == 0
        return self.log.read_text()


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_share_the_runs_and_each_run_is_trained_once(tmp_path: Path) -> None:
    args = ("--rows", "rnn,antisymmetric", "--seeds", "2", "--epochs", "1")
    commands = [Reproduce(tmp_path, tmp_path / f"{name}.log", *args) for name in ("first", "second")]
    said = [command.end() for command in commands]
    results = find_results(tmp_path)
    assert len(results) == 4
    # A run has as many owners as have trained it.
    assert [look(path.parent).number for path in tmp_path.rglob("result.json")] == [1] * 4
    for text in said:
        assert all(result.summary in text for result in results)  # both wait for all of them, and show them
        assert "[4/4]" in text
    assert "| RNN (tanh) |" in (tmp_path / "report.md").read_text()


def test_one_takes_over_what_another_was_killed_in(tmp_path: Path) -> None:
    args = ("--rows", "antisymmetric", "--seeds", "1", "--epochs", "100")
    killed = Reproduce(tmp_path, tmp_path / "killed.log", *args)
    wait_for(lambda: list(tmp_path.rglob("metrics.csv")))
    assert killed.process.pid is not None
    os.kill(killed.process.pid, signal.SIGSTOP)  # alive, and at no moment ended before the other has seen it
    heir = Reproduce(tmp_path, tmp_path / "heir.log", *args, "--takeover", "600")
    try:
        wait_for(lambda: heir.log.exists() and "another process is at work on what is left (1)" in heir.log.read_text())
        (folder,) = [path.parent for path in tmp_path.rglob("metrics.csv")]
        epochs = len((folder / "metrics.csv").read_text().splitlines()) - 1
        killed.process.kill()
        wait_for(lambda: len((folder / "metrics.csv").read_text().splitlines()) - 1 > epochs)
        assert look(folder).number == 2
    finally:
        killed.process.kill()
        heir.process.kill()
