"""Mel spectrograms against their definition, written again with loops and scalars, and against librosa's numbers."""

import cmath
import math

import numpy as np
import pytest
import torch

from benchmarks.data.mel import MelSpectrogram, decibels, frequency_of, mel_of

SMALL = MelSpectrogram(rate=1600, window=64, hop=16, bands=7, lowest=30.0, highest=700.0)
SPEECH = MelSpectrogram(rate=16_000, window=1024, hop=128, bands=80, lowest=40.0, highest=8000.0)


def slaney(frequency: float) -> float:
    """3 mel in 200 Hz below 1,000 Hz; above it 27 mel for a factor of 6.4."""
    return 3 * frequency / 200 if frequency < 1000 else 15 + 27 * math.log(frequency / 1000, 6.4)


def hertz(mel: float) -> float:
    return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def magnitude(sound: list[float], frame: int, bin_: int, spectrogram: MelSpectrogram) -> float:
    """Of one frequency in one frame: the sum itself, no fast transform."""
    window, total = spectrogram.window, 0j
    for n in range(window):
        place = abs(frame * spectrogram.hop + n - window // 2)  # mirrored about the first sample
        place = place if place < len(sound) else 2 * (len(sound) - 1) - place  # and about the last
        hann = math.sin(math.pi * n / window) ** 2
        total += hann * sound[place] * cmath.exp(-2j * math.pi * bin_ * n / window)
    return abs(total)


def band(spectrum: list[float], number: int, spectrogram: MelSpectrogram) -> float:
    """What a triangle of area 1 gathers."""
    low, high = slaney(spectrogram.lowest), slaney(spectrogram.highest)
    step = (high - low) / (spectrogram.bands + 1)
    below, centre, above = (hertz(low + (number + place) * step) for place in range(3))
    frequencies = [bin_ * spectrogram.rate / spectrogram.window for bin_ in range(len(spectrum))]
    weights = np.interp(frequencies, [below, centre, above], [0, 2 / (above - below), 0])
    return float(weights @ np.array(spectrum))


def by_definition(sound: list[float], spectrogram: MelSpectrogram) -> np.ndarray:
    frames = 1 + len(sound) // spectrogram.hop
    bins = range(spectrogram.window // 2 + 1)
    spectra = [[magnitude(sound, frame, bin_, spectrogram) for bin_ in bins] for frame in range(frames)]
    gathered = np.array(
        [[band(spectrum, number, spectrogram) for number in range(spectrogram.bands)] for spectrum in spectra]
    )
    level = 10 * np.log10(np.maximum(gathered, 1e-10))
    return np.maximum(level - level.max(), -80)


def test_the_spectrogram_is_its_definition() -> None:
    numbers = np.random.default_rng(0)
    sound = 0.3 * numbers.standard_normal(150) + np.sin(np.arange(150) * 0.7)
    found = SMALL(torch.from_numpy(sound.astype(np.float32)))
    assert found.shape == (SMALL.frames(150), 7) == (10, 7)
    # A transform in float32 of 64 numbers is right to 1e-6 of its largest value, at most 40 dB above the smallest.
    np.testing.assert_allclose(found.numpy(), by_definition(sound.tolist(), SMALL), atol=1e-3)


def test_the_settings_of_speech_commands_give_librosas_numbers() -> None:
    # librosa 0.11.0, melspectrogram(sr=16000, n_fft=1024, hop_length=128, power=1.0, n_mels=80, fmin=40, fmax=8000,
    # pad_mode="reflect", dtype=float64), then power_to_db(ref=max), of the same sound.
    time = torch.arange(4000, dtype=torch.float64) / 16_000
    sound = 0.5 * (2 * math.pi * 440 * time).sin() + 0.1 * (2 * math.pi * 3000 * time).sin()
    found = SPEECH(sound)
    golden = {(0, 0): -10.96602, (3, 9): -4.78064, (10, 10): -0.01139, (16, 47): -69.00186, (31, 79): -30.61833}
    assert found.shape == (32, 80)
    assert {place: found[place].item() for place in golden} == pytest.approx(
        golden, abs=1e-4
    )  # its filters are float32
    # In float32 the bands at -69 dB see rounding: 1e-7 of the loudest there is 1 or 2 % of what is gathered.
    assert SPEECH(sound.float())[16, 47].item() == pytest.approx(golden[16, 47], abs=0.2)


def test_mel_is_slaneys() -> None:
    frequencies = torch.tensor([0.0, 200.0, 1000.0, 6400.0], dtype=torch.float64)
    mel = torch.tensor([0.0, 3.0, 15.0, 42.0], dtype=torch.float64)
    # Rounding in float64.
    torch.testing.assert_close(mel_of(frequencies), mel, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(frequency_of(mel), frequencies, rtol=1e-12, atol=1e-12)


def test_every_band_gathers_something_and_a_flat_spectrum_gathers_its_level() -> None:
    wide = MelSpectrogram(rate=16_000, window=8192, hop=128, bands=20, lowest=40.0, highest=8000.0)
    resolution = 16_000 / 8192
    # The area of a triangle that some twenty points or more sample.
    torch.testing.assert_close(wide.filters.sum(1) * resolution, torch.ones(20, dtype=torch.float64), rtol=2e-2, atol=0)
    assert (SPEECH.filters.sum(1) > 0).all()


def test_decibels_are_below_the_loudest_and_end_at_minus_80() -> None:
    assert decibels(torch.tensor([1.0, 10.0, 1e-3, 0.0])).tolist() == pytest.approx(
        [-10.0, 0.0, -40.0, -80.0], abs=1e-4
    )
    assert decibels(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]
