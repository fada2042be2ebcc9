"""Speech commands: which of ten words was said, another one, or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.data.mel import MelSpectrogram
from benchmarks.data.speech_commands import CLASSES, RATE, Clips, load_speech_commands, locate_speech_commands
from benchmarks.data.wav import read_wav
from benchmarks.objectives import Batch, Objective, UnbalancedClassification
from benchmarks.tasks.arguments import folder
from benchmarks.tasks.samples import Samples, Splits
from benchmarks.tasks.task import Task

SPECTROGRAM = MelSpectrogram(rate=RATE, window=1024, hop=128, bands=80, lowest=40.0, highest=8000.0)
FRAMES = SPECTROGRAM.frames(RATE)  # of a clip of one second: 126


@final
class ClipFeatures(Samples):
    """The features of clips, which are read when they are asked for: all of them would fill four gigabytes."""

    def __init__(self, clips: Clips) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips.labels)

    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        x = torch.stack([features(read_wav(self.clips.paths[row], RATE)) for row in rows.tolist()])
        return Batch(x, self.clips.labels[rows])


def features(sound: Float[Tensor, "samples"]) -> Float[Tensor, "126 80"]:
    """What the network reads of a clip: its mel spectrogram, cut or filled up with 0, and then standardised as a whole.

    It is filled up after the decibels were taken, so with what stands for the loudest. All entries of a clip together
    get mean 0 and (sample) standard deviation 1; a clip that is silent throughout is all 0.
    """
    level = SPECTROGRAM(sound)[:FRAMES]
    filled = level.new_zeros(FRAMES, level.shape[1])
    filled[: len(level)] = level
    centred = filled - filled.mean()
    return centred / centred.std().clamp_min(torch.finfo(centred.dtype).tiny)


@final
@dataclass(kw_only=True, eq=False)
class SpeechCommands12(Task):
    """Speech Commands v0.02 with 12 classes, a mel spectrogram of 126 steps of 80 bands.

    Ten words are a class each (yes, no, up, down, left, right, on, off, stop, go), all other words are "unknown" and
    the recordings of background noise "silence". The parts are the official ones: of 105,829 clips 11,005 are for test
    and a few fewer for validation. Nothing is balanced, and the noise is not cut into clips: silence has six clips, all
    of them in training, so 11 classes are tested, and nearly two of three clips are "unknown".

    Source: Rusch, Mishra, Erichson & Mahoney, Long expressive memory for sequence modeling, ICLR 2022, sec. 5, as its
    code does it. It has the spectrogram from librosa, whose version is unknown: the older ones mirror a sound at its
    ends, which is done here, the newer ones put silence there.

    Args:
        data_dir: folder with the data set's files, or with its archive. None: the folder that the environment variable
            ODERNN_DATA names; if that is not set, a download of 2.4 GB into the user's cache.
    """

    data_dir: Path | None = folder()

    input_size: ClassVar[int] = SPECTROGRAM.bands
    objective: ClassVar[Objective] = UnbalancedClassification(len(CLASSES), class_names=CLASSES)

    @property
    def name(self) -> str:
        return "speech-commands-12"

    @property
    def length(self) -> int:
        return FRAMES

    def prepare_data(self) -> None:
        """Downloads what is not there."""
        locate_speech_commands(self.data_dir)

    def read(self) -> Splits:
        """The three parts. Errors as `load_speech_commands`."""
        data = load_speech_commands(self.data_dir, SPECTROGRAM.least)
        train, val, test = (ClipFeatures(part) for part in (data.train, data.val, data.test))
        return Splits(train, val, test, data.checksum)
