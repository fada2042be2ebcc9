"""UCI HAR: what a phone at the waist measured of people at six activities, found or downloaded, and checked.

Beneath the folder, train and test have a text file for each of nine signals, a line of 128 numbers a window of 2.56
seconds, and one each for the activity and the person of a window. Windows overlap by half, and no person is in both.

Source: D. Anguita, A. Ghio, L. Oneto, X. Parra & J. Reyes-Ortiz, A Public Domain Dataset for Human Activity Recognition
Using Smartphones, ESANN 2013.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.data.checksum import ContentCheck
from benchmarks.data.errors import DataFileError
from benchmarks.data.locate import Layout
from benchmarks.data.unpacked import PublishedArchive, locate

LENGTH = 128
SIGNALS = tuple(f"{quantity}_{axis}" for quantity in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
ACTIVITIES = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying")
PEOPLE = 30
NAME = "har"
HarPart = Literal["train", "test"]

ARCHIVE = PublishedArchive(
    "UCI HAR Dataset.zip",
    60_999_314,
    "sha256",
    "2045e435c955214b38145fb5fa00776c72814f01b203fec405152dac7d5bfeb0",
    ("https://archive.ics.uci.edu/ml/machine-learning-databases/00240/",),
)


def _signal(part: HarPart, signal: str) -> str:
    return f"{part}/Inertial Signals/{signal}_{part}.txt"


FILES = tuple(
    name
    for part in get_args(HarPart)
    for name in (*(_signal(part, signal) for signal in SIGNALS), f"{part}/y_{part}.txt", f"{part}/subject_{part}.txt")
)
SUBFOLDERS = ("", NAME, "UCI HAR Dataset", f"{NAME}/UCI HAR Dataset")
LAYOUT = Layout("UCI HAR", FILES, SUBFOLDERS)


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of nine signals, in units of the acceleration of gravity and in radians a second.

    Attributes:
        signals: in the order of `SIGNALS`.
        activities: of each window, as its place in `ACTIVITIES`.
        people: of each window, from 1.
    """

    signals: Float[Tensor, "count time signal"]
    activities: Int64[Tensor, "count"]
    people: Int64[Tensor, "count"]


@dataclass(frozen=True, eq=False)
class HarSet:
    """The training and the test part as published, and the checksum of all files."""

    train: Windows
    test: Windows
    checksum: dict[str, ContentCheck]


def locate_har(data_dir: Path | None) -> tuple[Mapping[str, Path], bool]:
    """As `benchmarks.data.unpacked.locate`."""
    return locate(LAYOUT, ARCHIVE, NAME, data_dir)


def load_har(data_dir: Path | None) -> HarSet:
    """The windows of both parts.

    Raises:
        MissingDataError, DownloadError: as `locate_har`.
        DataFileError: a file is not a table of finite numbers, has rows of another length or another number of them
            than the others, or an activity or a person that there is not.
    """
    paths, verified = locate_har(data_dir)
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(paths[name].read_bytes())
    check: ContentCheck = {"sha256": digest.hexdigest(), "verified": verified}
    return HarSet(_windows(paths, "train"), _windows(paths, "test"), {LAYOUT.title: check})


def _windows(paths: Mapping[str, Path], part: HarPart) -> Windows:
    labels, people = paths[f"{part}/y_{part}.txt"], paths[f"{part}/subject_{part}.txt"]
    activities, persons = _whole_numbers(labels, len(ACTIVITIES)), _whole_numbers(people, PEOPLE)
    if len(persons) != len(activities):
        raise DataFileError.about(people, f"it has {len(persons):,} lines, {labels.name} has {len(activities):,}")
    signals = [_read_signal(paths[_signal(part, signal)], len(activities), labels.name) for signal in SIGNALS]
    return Windows(torch.stack(signals, dim=2), activities - 1, persons)


def _read_signal(path: Path, count: int, labels: str) -> Float[Tensor, "count time"]:
    table = _read_table(path)
    if table.shape != (count, LENGTH):
        raise DataFileError.about(
            path, f"it has {table.shape[0]:,} lines of {table.shape[1]} numbers, for {labels} {count:,} of {LENGTH}"
        )
    return torch.from_numpy(table.astype(np.float32))


def _whole_numbers(path: Path, most: int) -> Int64[Tensor, "count"]:
    table = _read_table(path)
    wrong = table[(table != table.round()) | (table < 1) | (table > most)]
    if table.shape[1] != 1 or len(wrong):
        fault = f"{table.shape[1]} numbers a line" if table.shape[1] != 1 else f"{wrong[0]:g}"
        raise DataFileError.about(path, f"it has {fault}; a whole number from 1 to {most} a line was wanted")
    return torch.from_numpy(table[:, 0].astype(np.int64))


def _read_table(path: Path) -> np.ndarray:
    if not path.stat().st_size:
        raise DataFileError.about(path, "it is empty")
    try:
        table = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise DataFileError.about(path, f"it is not a table of numbers: {error}") from error
    if not np.isfinite(table).all():
        raise DataFileError.about(path, "it holds a number that is not finite")
    return table
