"""Speech Commands: the official lists make the parts, the folders make the classes, and what is unsound is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.data import DataChecksumWarning, DataFileError, MissingDataError
from benchmarks.data.speech_commands import CLASSES, NOISE, TESTING, VALIDATION, WORDS, class_of, load_speech_commands
from tests.benchmarks.small_sets import tone, write_wav

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")
LEAST = 513


@pytest.fixture
def speech_dir(small_speech_dir: Path, tmp_path: Path) -> Path:
    """The small data set, to be written to."""
    return Path(shutil.copytree(small_speech_dir, tmp_path / "speech"))


def names_of(part) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in part.paths}


def test_the_parts_are_those_of_the_lists(small_speech_dir: Path) -> None:
    data = load_speech_commands(small_speech_dir, LEAST)
    assert names_of(data.test) == set((small_speech_dir / TESTING).read_text().split())
    assert names_of(data.val) == set((small_speech_dir / VALIDATION).read_text().split())
    everything = {f"{path.parent.name}/{path.name}" for path in small_speech_dir.rglob("*.wav")}
    assert names_of(data.train) == everything - names_of(data.test) - names_of(data.val)
    assert [len(part.paths) for part in (data.train, data.val, data.test)] == [36, 33, 33]


def test_classes_are_unknown_silence_and_the_ten_words_in_their_order(small_speech_dir: Path) -> None:
    assert ("unknown", "silence", *["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]) == CLASSES
    data = load_speech_commands(small_speech_dir, LEAST)
    for part in (data.train, data.val, data.test):
        for path, label in zip(part.paths, part.labels.tolist(), strict=True):
            expected = {"bed": "unknown", NOISE: "silence"}.get(path.parent.name, path.parent.name)
            assert CLASSES[label] == expected
    assert class_of("marvin/a.wav") == 0
    # The noise is in training only, as published.
    assert [int((part.labels == 1).sum()) for part in (data.train, data.val, data.test)] == [3, 0, 0]


def test_a_part_comes_in_one_mixed_order(small_speech_dir: Path) -> None:
    one, again = (load_speech_commands(small_speech_dir, LEAST) for _ in range(2))
    assert one.train.paths == again.train.paths
    assert torch.equal(one.train.labels, again.train.labels)
    assert len(one.train.labels[:12].unique()) > 4  # sorted by folder there would be three classes


def test_the_checksum_sees_names_sizes_and_lists(speech_dir: Path) -> None:
    def checksum() -> str:
        (check,) = load_speech_commands(speech_dir, LEAST).checksum.values()
        assert check["verified"] is False
        return check["sha256"]

    seen = {checksum()}
    write_wav(speech_dir / "yes" / "more.wav", tone(100.0, 3000, 0))
    seen.add(checksum())
    write_wav(speech_dir / "yes" / "more.wav", tone(100.0, 3001, 0))
    seen.add(checksum())
    with (speech_dir / TESTING).open("a") as stream:
        stream.write("yes/more.wav\n")
    seen.add(checksum())
    assert len(seen) == 4


def lose_list(folder: Path) -> None:
    (folder / TESTING).unlink()


def empty_list(folder: Path) -> None:
    (folder / VALIDATION).write_text("\n")


def name_a_lost_clip(folder: Path) -> None:
    (folder / "yes" / "0.wav").unlink()


def name_a_clip_twice(folder: Path) -> None:
    with (folder / VALIDATION).open("a") as stream:
        stream.write("no/0.wav\n")


def lose_a_word(folder: Path) -> None:
    for name in (TESTING, VALIDATION):
        kept = [line for line in (folder / name).read_text().split() if not line.startswith("stop/")]
        (folder / name).write_text("\n".join(kept))
    shutil.rmtree(folder / "stop")


def lose_the_noise(folder: Path) -> None:
    shutil.rmtree(folder / NOISE)


def change_a_rate(folder: Path) -> None:
    write_wav(folder / "go" / "8.wav", tone(100.0, 3000, 0), 8000)


def truncate_a_clip(folder: Path) -> None:
    path = folder / "go" / "8.wav"
    path.write_bytes(path.read_bytes()[:2000])


def shorten_a_clip(folder: Path) -> None:
    write_wav(folder / "go" / "8.wav", tone(100.0, 512, 0))


@pytest.mark.parametrize(
    ("spoil", "error", "fault"),
    [
        (lose_list, MissingDataError, r"speech lacks testing_list.txt"),
        (empty_list, DataFileError, r"validation_list.txt: it names no clips"),
        (name_a_lost_clip, DataFileError, r"testing_list.txt: it names yes/0.wav, which is not there, and 0 more"),
        (name_a_clip_twice, DataFileError, r"it names no/0.wav, which validation_list.txt names too"),
        (lose_a_word, DataFileError, r"speech: no clips for training of stop"),
        (lose_the_noise, DataFileError, r"speech: no clips for training of _background_noise_"),
        (change_a_rate, DataFileError, r"go/8.wav: it has 1 channel\(s\) of 16 bits at 8,000 samples"),
        (truncate_a_clip, DataFileError, r"go/8.wav: it is truncated"),
        (shorten_a_clip, DataFileError, r"go/8.wav: it holds 512 samples, at least 513"),
    ],
)
def test_what_is_unsound_is_named_before_any_training(
    spoil: Callable[[Path], None], error: type[Exception], fault: str, speech_dir: Path
) -> None:
    spoil(speech_dir)
    with pytest.raises(error, match=fault) as caught:
        load_speech_commands(speech_dir, LEAST)
    assert "--data" in str(caught.value)


def test_the_words_are_ten() -> None:
    assert len(set(WORDS)) == 10
