"""Sound files: 16-bit PCM, one channel, one rate, read with the standard library.

Source: Microsoft & IBM, Multimedia Programming Interface and Data Specifications 1.0, 1991, "WAVE".
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.data.errors import DataFileError

SAMPLE_BYTES = 2
HEADER = 44  # bytes before the samples at least
FULL_SCALE = 32768.0


def check_wav(path: Path, rate: int, least: int) -> None:
    """Checks a file by its header and its size, without reading its samples.

    Args:
        path: of the file.
        rate: samples a second that are wanted.
        least: samples that are wanted at least.

    Raises:
        DataFileError: it is not such a file, or is truncated.
    """
    with _opened(path) as sound:
        _check_format(path, sound, rate)
        count = sound.getnframes()
    if count < least:
        raise DataFileError.about(path, f"it holds {count:,} samples, at least {least:,} were wanted")
    if path.stat().st_size < HEADER + SAMPLE_BYTES * count:
        raise DataFileError.about(path, f"it is truncated: its header promises {count:,} samples")


def read_wav(path: Path, rate: int) -> Float[Tensor, "samples"]:
    """The samples of a file, from -1 to 1.

    Raises:
        DataFileError: it is not such a file, or is truncated.
    """
    with _opened(path) as sound:
        _check_format(path, sound, rate)
        count = sound.getnframes()
        content = sound.readframes(count)
    if len(content) != SAMPLE_BYTES * count:
        raise DataFileError.about(path, f"it is truncated: its header promises {count:,} samples")
    return torch.from_numpy(np.frombuffer(content, dtype="<i2").astype(np.float32) / FULL_SCALE)


def _opened(path: Path) -> wave.Wave_read:
    try:
        return wave.open(str(path), "rb")
    except (wave.Error, EOFError) as error:
        reason = str(error) or "it ends within its header"
        raise DataFileError.about(path, f"it is not a sound file in PCM: {reason}") from error


def _check_format(path: Path, sound: wave.Wave_read, rate: int) -> None:
    found = (sound.getnchannels(), 8 * sound.getsampwidth(), sound.getframerate())
    if found != (1, 8 * SAMPLE_BYTES, rate):
        channels, bits, other = found
        raise DataFileError.about(
            path,
            f"it has {channels} channel(s) of {bits} bits at {other:,} samples a second; "
            f"1 channel of {8 * SAMPLE_BYTES} bits at {rate:,} was wanted",
        )
