"""A folder of small trained runs, shared by the tests and not to be changed, and copies of it that a test may forge."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.tiny_digits import train_digits

HOSTILE = "<script>document.title = 'taken'</script> | \"a\" & b"
ROWS = ("antisymmetric", "gru", "unicornn-3x64")


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of one row, one of another with a hostile title, and a stack."""
    out = tmp_path_factory.mktemp("results")
    train_digits(out, "digits/antisymmetric")
    train_digits(out, "digits/antisymmetric", "--seed", "1")
    train_digits(out, "digits/gru", "--title", HOSTILE)
    train_digits(out, "digits/unicornn-3x64")
    return out


@pytest.fixture
def copied(results: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(results, tmp_path / "copied"))


@pytest.fixture
def forge(copied: Path) -> Callable[..., Path]:
    """Changes what a result of the copy says and gives its path; a change is a dotted name with its value."""

    def run(change: dict[str, Any], folder: str = "digits/antisymmetric/seed-0") -> Path:
        path = copied / folder / "result.json"
        plain = json.loads(path.read_text(encoding="utf-8"))
        for name, value in change.items():
            *parents, last = name.split("/")
            place = plain
            for parent in parents:
                place = place[int(parent) if isinstance(place, list) else parent]
            place[last] = value
        path.write_text(json.dumps(plain), encoding="utf-8")
        return path

    return run
