"""Sound files: what is read is what was written, and what is of another format is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.data import DataFileError
from benchmarks.data.wav import check_wav, read_wav
from tests.benchmarks.small_sets import tone, write_wav

RATE = 16_000


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_wav(tmp_path / "clip.wav", tone(440.0, 1000, 0))
    return tmp_path / "clip.wav"


def test_samples_are_those_written_over_the_full_scale(clip: Path) -> None:
    expected = (tone(440.0, 1000, 0) * 32767).astype("<i2") / 32768.0
    assert torch.equal(read_wav(clip, RATE), torch.from_numpy(expected).float())
    check_wav(clip, RATE, 1000)


def test_bytes_are_little_endian_and_signed(clip: Path) -> None:
    content = bytearray(clip.read_bytes())
    content[44:48] = bytes((0x01, 0x00, 0x00, 0x80))  # 1 and -32768, after a header of 44 bytes
    clip.write_bytes(content)
    assert read_wav(clip, RATE)[:2].tolist() == [1 / 32768, -1.0]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({"rate": 8000}, r"1 channel\(s\) of 16 bits at 8,000 samples a second; 1 channel of 16 bits at 16,000"),
        ({"channels": 2}, r"2 channel\(s\) of 16 bits"),
        ({"width": 1}, r"1 channel\(s\) of 8 bits"),
    ],
)
def test_another_format_is_refused(written: dict[str, int], fault: str, tmp_path: Path) -> None:
    path = tmp_path / "other.wav"
    write_wav(path, np.zeros(1000), **written)
    for look in (lambda: check_wav(path, RATE, 1), lambda: read_wav(path, RATE)):
        with pytest.raises(DataFileError, match=fault) as caught:
            look()
        assert "other.wav" in str(caught.value)


@pytest.mark.parametrize("kept", [46, 1043, 2043])
def test_a_truncated_file_is_refused(kept: int, clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:kept])
    for look in (lambda: check_wav(clip, RATE, 1), lambda: read_wav(clip, RATE)):
        with pytest.raises(DataFileError, match=r"clip.wav: it is truncated: its header promises 1,000 samples"):
            look()


@pytest.mark.parametrize("content", [b"", b"RIFF", b"<html>log in</html>", b"RIFF\0\0\0\0WAVEfmt "])
def test_what_is_no_sound_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "no.wav"
    path.write_bytes(content)
    for look in (lambda: check_wav(path, RATE, 1), lambda: read_wav(path, RATE)):
        with pytest.raises(DataFileError, match=r"no.wav: it is not a sound file in PCM: .+"):
            look()


def test_a_clip_that_is_too_short_is_refused(clip: Path) -> None:
    with pytest.raises(DataFileError, match="it holds 1,000 samples, at least 1,001 were wanted"):
        check_wav(clip, RATE, 1001)
