"""Programs that take long, in processes of their own: begun before the first test, and waited for by those that ask.

`python -m tests.ahead MODULE:FUNCTION FOLDER FULL` is such a process.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent

Program = Callable[[Path, bool], Any]
"""(a folder for all processes of a run of the tests, whether the marker `full` is chosen) -> what goes through JSON."""


def folder_of(factory: pytest.TempPathFactory) -> Path:
    """A folder for all processes of a run of the tests."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder  # each worker has a folder in that of all


def is_full(config: pytest.Config) -> bool:
    """Whether rows with the marker `full` may be asked for."""
    return "not full" not in str(config.getoption("markexpr"))


@contextmanager
def begun(items: Sequence[pytest.Item], folder: Path, full: bool) -> Iterator[None]:
    """Begin what the tests' marker `ahead` names, from one of the workers; at its end nothing runs on."""
    programs = dict.fromkeys(mark.args[0] for item in items for mark in item.iter_markers("ahead"))
    first = os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"
    processes = [_begin(program, folder, full) for program in programs] if first else []
    yield
    for process in processes:
        process.terminate()
        process.wait()


def said(program: Program, folder: Path, full: bool) -> Any:
    """What the program gave, as soon as it has ended.

    Raises:
        AssertionError: it ended with an error, which is the message.
    """
    path = _path(program, folder)
    with _alone(path):
        is_missing = not path.exists()
    if is_missing:  # nobody has begun it, or not yet: the second to take the lock does nothing
        _begin(program, folder, full).wait()
    found = json.loads(path.read_text(encoding="utf-8"))
    assert "error" not in found, found["error"]
    return found["said"]


def _begin(program: Program, folder: Path, full: bool) -> subprocess.Popen[bytes]:
    arguments = f"{program.__module__}:{program.__name__}", str(folder), str(full)
    return subprocess.Popen([sys.executable, "-m", "tests.ahead", *arguments], cwd=ROOT)


def _run(program: Program, folder: Path, full: bool) -> None:
    path = _path(program, folder)
    with _alone(path):
        if path.exists():
            return
        try:
            found = {"said": program(folder, full)}
        except Exception:  # whatever it is, the tests show it
            found = {"error": traceback.format_exc()}
        path.write_text(json.dumps(found), encoding="utf-8")


def _path(program: Program, folder: Path) -> Path:
    return folder / f"{program.__module__}.{program.__name__}.json"


def _alone(path: Path) -> FileLock:
    return FileLock(f"{path}.lock")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that it ends what it has begun itself
    module, _, name = sys.argv[1].partition(":")
    _run(getattr(import_module(module), name), Path(sys.argv[2]), sys.argv[3] == str(True))
