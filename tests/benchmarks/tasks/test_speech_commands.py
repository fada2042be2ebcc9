"""What the network reads of a clip: the order of decibels, filling up, cutting and standardising."""

import pytest
import torch

from benchmarks.data import DataChecksumWarning
from benchmarks.data.speech_commands import CLASSES
from benchmarks.data.wav import read_wav
from benchmarks.tasks import SpeechCommands12
from benchmarks.tasks.speech_commands import FRAMES, SPECTROGRAM, ClipFeatures, features

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")


def sound(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


def standardised(level: torch.Tensor) -> torch.Tensor:
    return (level - level.mean()) / level.std()  # the sample standard deviation


def test_a_clip_of_a_second_fills_the_sequence() -> None:
    assert FRAMES == 126
    found = features(sound(16_000))
    torch.testing.assert_close(found, standardised(SPECTROGRAM(sound(16_000))))
    # Float32 rounding of sums over 10,080 numbers.
    assert found.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert found.std().item() == pytest.approx(1.0, abs=1e-5)


def test_a_shorter_clip_is_filled_up_with_the_loudest() -> None:
    level = SPECTROGRAM(sound(8000))
    assert len(level) == 63
    filled = torch.cat([level, torch.zeros(63, 80)])  # 0 dB, which is the maximum, after the decibels were taken
    assert level.max() == 0
    found = features(sound(8000))
    torch.testing.assert_close(found, standardised(filled))
    assert (found[63:] == found.max()).all()


def test_a_longer_clip_is_cut_after_the_decibels_were_taken() -> None:
    loud_end = torch.cat([sound(20_000), 10 * sound(20_000)])
    level = SPECTROGRAM(loud_end)
    assert level[:FRAMES].max() < -5
    torch.testing.assert_close(features(loud_end), standardised(level[:FRAMES]))


def test_a_silent_clip_is_zero_and_not_nan() -> None:
    assert torch.equal(features(torch.zeros(16_000)), torch.zeros(126, 80))
    assert torch.equal(features(torch.zeros(600)), torch.zeros(126, 80))


def test_a_sample_is_the_features_of_its_clip(small_speech_dir) -> None:
    task = SpeechCommands12(data_dir=small_speech_dir)
    task.setup()
    samples = task.splits.val
    assert isinstance(samples, ClipFeatures)
    x, target, mask = samples[4]
    path = samples.clips.paths[4]
    assert torch.equal(x, features(read_wav(path, 16_000)))
    assert CLASSES[target] == path.parent.name.replace("bed", "unknown")
    assert mask is None
