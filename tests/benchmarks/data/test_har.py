"""UCI HAR's files: each number is where it was written, and what is unsound is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.data import DataChecksumWarning, DataFileError, MissingDataError
from benchmarks.data.har import ACTIVITIES, FILES, SIGNALS, load_har

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")


@pytest.fixture
def har_dir(small_har_dir: Path, tmp_path: Path) -> Path:
    """The small data set, to be written to."""
    return Path(shutil.copytree(small_har_dir, tmp_path / "har"))


def test_signals_stand_side_by_side_in_their_order(small_har_dir: Path) -> None:
    data = load_har(small_har_dir)
    assert data.train.signals.shape == (100, 128, 9)
    assert data.test.signals.shape == (34, 128, 9)
    for place, signal in ((0, "body_acc_x"), (4, "body_gyro_y"), (8, "total_acc_z")):
        assert SIGNALS[place] == signal
        lines = (small_har_dir / "test" / "Inertial Signals" / f"{signal}_test.txt").read_text().splitlines()
        numbers = torch.tensor([float(number) for number in lines[7].split()])
        assert torch.equal(data.test.signals[7, :, place], numbers)


def test_activities_begin_at_zero_and_people_at_one(small_har_dir: Path) -> None:
    data = load_har(small_har_dir)
    assert ACTIVITIES[0] == "walking"
    assert data.train.activities[:7].tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert data.train.people.unique().tolist() == [1, 3, 5, 7, 8]


def test_the_checksum_is_of_every_file(har_dir: Path) -> None:
    seen = set()
    for name in ("train/y_train.txt", "test/Inertial Signals/body_gyro_z_test.txt", "test/subject_test.txt"):
        (check,) = load_har(har_dir).checksum.values()
        seen.add(check["sha256"])
        with (har_dir / name).open("a") as stream:
            stream.write("\n")
    assert len(seen) == 3


SIGNAL = "train/Inertial Signals/total_acc_x_train.txt"


def rewrite(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        np.savetxt(folder / name, change(np.loadtxt(folder / name, ndmin=2)), fmt="%g")

    return spoil


def put(row: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(table: np.ndarray) -> np.ndarray:
        table[row, 0] = value
        return table

    return change


def truncate(folder: Path) -> None:
    content = (folder / SIGNAL).read_bytes()
    (folder / SIGNAL).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "error", "fault"),
    [
        (lambda folder: (folder / SIGNAL).unlink(), MissingDataError, f"lacks {SIGNAL}"),
        (lambda folder: (folder / SIGNAL).write_text(""), DataFileError, "total_acc_x_train.txt: it is empty"),
        (lambda folder: (folder / SIGNAL).write_text("<html>"), DataFileError, "it is not a table of numbers"),
        (truncate, DataFileError, "total_acc_x_train.txt: it (is not a table of numbers|has 50 lines)"),
        (
            rewrite(SIGNAL, lambda table: table[:-1]),
            DataFileError,
            "99 lines of 128 numbers, for y_train.txt 100 of 128",
        ),
        (rewrite(SIGNAL, lambda table: table[:, 1:]), DataFileError, "it has 100 lines of 127 numbers"),
        (rewrite(SIGNAL, put(3, np.nan)), DataFileError, "it holds a number that is not finite"),
        (rewrite("test/y_test.txt", put(3, 7)), DataFileError, "y_test.txt: it has 7; a whole number from 1 to 6"),
        (rewrite("test/y_test.txt", put(3, 0)), DataFileError, "y_test.txt: it has 0; a whole number from 1 to 6"),
        (rewrite("test/y_test.txt", put(3, 1.5)), DataFileError, "y_test.txt: it has 1.5; a whole number"),
        (rewrite("test/subject_test.txt", put(0, 31)), DataFileError, "subject_test.txt: it has 31; a whole number"),
        (
            rewrite("test/subject_test.txt", lambda table: table[1:]),
            DataFileError,
            "it has 33 lines, y_test.txt has 34",
        ),
    ],
)
def test_what_is_unsound_is_named(
    spoil: Callable[[Path], None], error: type[Exception], fault: str, har_dir: Path
) -> None:
    spoil(har_dir)
    with pytest.raises(error, match=fault) as caught:
        load_har(har_dir)
    assert "--data" in str(caught.value)


def test_the_files_are_those_of_the_archive() -> None:
    assert len(FILES) == 22
    assert all(name.startswith(("train/", "test/")) for name in FILES)
