"""Small data sets in the layouts of the published ones, made of synthetic tones, numbers and letters."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from benchmarks.data import har, ptb
from benchmarks.data.speech_commands import NOISE, RATE, TESTING, VALIDATION, WORDS

CLIPS = 9  # a word, of which three are for test and three for validation


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE, *, channels: int = 1, width: int = 2) -> None:
    """Samples from -1 to 1 as a sound file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes((samples * 32767).astype("<i2").tobytes())


def tone(frequency: float, samples: int, seed: int) -> np.ndarray:
    """A tone with a little noise."""
    noise = np.random.default_rng(seed).standard_normal(samples)
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(samples) / RATE) + 0.01 * noise


def write_speech(folder: Path) -> None:
    """Clips of eleven words, a tone each, and three recordings of noise."""
    listed: dict[str, list[str]] = {TESTING: [], VALIDATION: []}
    for number, word in enumerate((*WORDS, "bed")):
        for clip in range(CLIPS):
            name = f"{word}/{clip}.wav"
            write_wav(folder / name, tone(200.0 + 150 * number, 3000 + 100 * clip, CLIPS * number + clip))
            if clip < 6:
                listed[TESTING if clip < 3 else VALIDATION].append(name)
    for number in range(3):
        write_wav(folder / NOISE / f"{number}.wav", 0.1 * tone(0.0, 20_000, 1000 + number))
    for name, clips in listed.items():
        (folder / name).write_text("".join(f"{clip}\n" for clip in clips), encoding="utf-8")


def write_har(folder: Path) -> None:
    """Five people with 20 windows each for training, two with 17 for test."""
    numbers = np.random.default_rng(0)
    for part, people, each in (("train", (1, 3, 5, 7, 8), 20), ("test", (2, 4), 17)):
        count = len(people) * each
        activities = 1 + np.arange(count) % len(har.ACTIVITIES)
        (folder / part / "Inertial Signals").mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / part / f"y_{part}.txt", activities, fmt="%d")
        np.savetxt(folder / part / f"subject_{part}.txt", np.repeat(people, each), fmt="%d")
        for place, signal in enumerate(har.SIGNALS):
            windows = 0.1 * place + 0.3 * numbers.standard_normal((count, har.LENGTH)) + 0.05 * activities[:, None]
            np.savetxt(folder / part / "Inertial Signals" / f"{signal}_{part}.txt", windows, fmt="%16.7e")


def write_ptb(folder: Path) -> None:
    """Sentences of random letters in the layout of the Penn Treebank's character files."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(0)
    for name, sentences in zip(ptb.FILES, (120, 30, 40), strict=True):
        lines = ("".join(numbers.choice(list("abcdefgh_"), 40)) for _ in range(sentences))
        (folder / name).write_text("".join(f" {' '.join(line)} \n" for line in lines), encoding="utf-8")
