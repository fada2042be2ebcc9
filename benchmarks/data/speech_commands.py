"""Speech Commands v0.02: clips of spoken words of about a second, found in a folder or downloaded, and checked.

Beneath the folder lie a folder of wav files for each word, `_background_noise_` with a few long recordings, and two
lists, testing_list.txt and validation_list.txt, which name clips as "word/clip.wav"; all others are for training.

Source: P. Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, arXiv 1804.03209.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.checksum import ContentCheck
from benchmarks.data.errors import DataFileError
from benchmarks.data.locate import Layout
from benchmarks.data.random_splits import permutation
from benchmarks.data.unpacked import PublishedArchive, locate
from benchmarks.data.wav import check_wav

RATE = 16_000
UNKNOWN, SILENCE = "unknown", "silence"
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
CLASSES = (UNKNOWN, SILENCE, *WORDS)
NOISE = "_background_noise_"
TESTING, VALIDATION = "testing_list.txt", "validation_list.txt"
NAME = "speech-commands"

ARCHIVE = PublishedArchive(
    "speech_commands_v0.02.tar.gz",
    2_428_923_189,
    "sha256",
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    (
        "https://storage.googleapis.com/download.tensorflow.org/data/",
        "https://download.tensorflow.org/data/",
    ),
    deadline=4 * 3600.0,
)
# The folder itself, this project's name for it, the archive's, torchaudio's.
SUBFOLDERS = ("", NAME, "speech_commands_v0.02", "SpeechCommands/speech_commands_v0.02")
LAYOUT = Layout("Speech Commands", (TESTING, VALIDATION), SUBFOLDERS)


@dataclass(frozen=True, eq=False)
class Clips:
    """Sound files, and the class of each as its place in `CLASSES`."""

    paths: tuple[Path, ...]
    labels: Int64[Tensor, "count"]


@dataclass(frozen=True, eq=False)
class SpeechSet:
    """The three parts, each in one random order, the same always, so that the first few are of all classes."""

    train: Clips
    val: Clips
    test: Clips
    checksum: dict[str, ContentCheck]


def locate_speech_commands(data_dir: Path | None) -> tuple[Mapping[str, Path], bool]:
    """As `benchmarks.data.unpacked.locate`."""
    return locate(LAYOUT, ARCHIVE, NAME, data_dir)


def load_speech_commands(data_dir: Path | None, least: int) -> SpeechSet:
    """The clips of the three parts, their headers checked.

    The checksum is that of all names, sizes and both lists; the samples themselves are those of the archive where that
    was unpacked here.

    Args:
        data_dir: as `locate_speech_commands`.
        least: samples of a clip at least.

    Raises:
        MissingDataError, DownloadError: as `locate_speech_commands`.
        DataFileError: a list names a clip that is not there or that another list has, a part is empty, the training
            part lacks a class, or a clip is of another format, too short or truncated.
    """
    found, verified = locate_speech_commands(data_dir)
    folder = found[TESTING].parent
    names = sorted(f"{path.parent.name}/{path.name}" for path in folder.glob("*/*.wav"))
    listed = {name: _read_list(found[name], set(names)) for name in (TESTING, VALIDATION)}
    if both := listed[TESTING] & listed[VALIDATION]:
        raise DataFileError.about(found[TESTING], f"it names {min(both)}, which {VALIDATION} names too")
    for name in names:
        check_wav(folder / name, RATE, least)
    train = [name for name in names if name not in listed[TESTING] | listed[VALIDATION]]
    _check_classes(folder, train)
    test, val = (sorted(listed[name]) for name in (TESTING, VALIDATION))
    check: ContentCheck = {"sha256": _manifest(folder, names, list(found.values())), "verified": verified}
    return SpeechSet(_clips(folder, train), _clips(folder, val), _clips(folder, test), {LAYOUT.title: check})


def class_of(name: str) -> int:
    """The class of a clip by its folder, as its place in `CLASSES`."""
    word = name.partition("/")[0]
    if word == NOISE:
        return CLASSES.index(SILENCE)
    return CLASSES.index(word) if word in WORDS else CLASSES.index(UNKNOWN)


def _read_list(path: Path, there: set[str]) -> set[str]:
    named = set(path.read_text(encoding="utf-8").split())
    if lost := named - there:
        raise DataFileError.about(path, f"it names {min(lost)}, which is not there, and {len(lost) - 1} more like it")
    if not named:
        raise DataFileError.about(path, "it names no clips")
    return named


def _check_classes(folder: Path, train: Sequence[str]) -> None:
    lacking = set(range(len(CLASSES))) - {class_of(name) for name in train}
    if lacking:
        wanted = {SILENCE: NOISE, UNKNOWN: "another word"}
        what = ", ".join(wanted.get(CLASSES[label], CLASSES[label]) for label in sorted(lacking))
        raise DataFileError.about(folder, f"no clips for training of {what}")


def _clips(folder: Path, names: Sequence[str]) -> Clips:
    order = [names[int(row)] for row in permutation(len(names), 0)]
    return Clips(tuple(folder / name for name in order), torch.tensor([class_of(name) for name in order]))


def _manifest(folder: Path, names: Sequence[str], lists: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name} {(folder / name).stat().st_size}\n".encode())
    for path in lists:
        digest.update(path.read_bytes())
    return digest.hexdigest()
