"""Mel spectrograms in decibels: how sound is usually handed to a recurrent network.

torchaudio would have them, but has no release for the torch that this project runs on; librosa brings a compiler and a
dozen packages, and its defaults have changed between versions. What is needed of them are three formulas.

Source: S. Stevens, J. Volkmann & E. Newman, A scale for the measurement of the psychological magnitude pitch, 1937, in
the form of M. Slaney, Auditory Toolbox, 1998; B. McFee et al., librosa: Audio and Music Signal Analysis in Python,
SciPy 2015, for the conventions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

# Slaney's scale: linear below 1,000 Hz at 3 mel in 200 Hz, above it 27 mel for each factor of 6.4.
LINEAR = 200 / 3
CORNER = 1000.0
LOG_STEP = math.log(6.4) / 27
SMALLEST = 1e-10  # in place of a power of 0
DYNAMIC_RANGE = 80.0  # decibels


def mel_of(frequency: Float[Tensor, "*items"]) -> Float[Tensor, "*items"]:
    """Slaney's mel of a frequency in Hz."""
    high = CORNER / LINEAR + (frequency.clamp_min(CORNER) / CORNER).log() / LOG_STEP
    return torch.where(frequency < CORNER, frequency / LINEAR, high)


def frequency_of(mel: Float[Tensor, "*items"]) -> Float[Tensor, "*items"]:
    """The frequency in Hz of Slaney's mel."""
    corner = CORNER / LINEAR
    high = CORNER * ((mel - corner).clamp_min(0) * LOG_STEP).exp()
    return torch.where(mel < corner, mel * LINEAR, high)


@final
@dataclass(frozen=True)
class MelSpectrogram:
    """The magnitudes of a sound's short-time Fourier transform, gathered in mel bands, in decibels below the loudest.

    A window of Hann's lies centred on every `hop`-th sample; the sound is mirrored at its ends. A band is a triangle
    over the frequencies from the centre of the band below to that of the band above, of area 1 (Slaney's). Decibels
    are 10 log10 of the gathered magnitude (of which a purist would take 20), 0 for the largest of the sound and not
    below -80.

    Attributes:
        rate: samples a second.
        window: samples.
        hop: samples.
        bands: how many.
        lowest: frequency in Hz at which the first triangle begins.
        highest: frequency in Hz at which the last one ends.
    """

    rate: int
    window: int
    hop: int
    bands: int
    lowest: float
    highest: float

    @property
    def least(self) -> int:
        """The samples without which a sound cannot be mirrored at its ends."""
        return self.window // 2 + 1

    def frames(self, samples: int) -> int:
        """How many there are of a sound."""
        return 1 + samples // self.hop

    def __call__(self, sound: Float[Tensor, "samples"]) -> Float[Tensor, "frames bands"]:
        """The spectrogram of one sound, computed in its precision."""
        taper = self.taper.to(sound.dtype)
        spectrum = torch.stft(sound, self.window, self.hop, window=taper, return_complex=True, pad_mode="reflect")
        magnitude = (spectrum.real.square() + spectrum.imag.square()).sqrt()  # half the time of `abs`
        return decibels((self.filters.to(sound.dtype) @ magnitude).T)

    @cached_property
    def taper(self) -> Float[Tensor, "window"]:
        """Hann's window, periodic."""
        return torch.hann_window(self.window, dtype=torch.float64)

    @cached_property
    def filters(self) -> Float[Tensor, "bands frequencies"]:
        """The weight of each frequency of the transform in each band."""
        ends = torch.tensor([self.lowest, self.highest], dtype=torch.float64)
        low, high = mel_of(ends).tolist()
        edges = frequency_of(torch.linspace(low, high, self.bands + 2, dtype=torch.float64))
        frequencies = torch.linspace(0, self.rate / 2, self.window // 2 + 1, dtype=torch.float64)
        below, centre, above = (part.unsqueeze(1) for part in (edges[:-2], edges[1:-1], edges[2:]))
        rising, falling = (frequencies - below) / (centre - below), (above - frequencies) / (above - centre)
        return torch.minimum(rising, falling).clamp_min(0) * 2 / (above - below)


def decibels(power: Float[Tensor, "*items"]) -> Float[Tensor, "*items"]:
    """10 log10 of power over its largest value, from 0 down to -80."""
    level = 10 * power.clamp_min(SMALLEST).log10()
    return (level - level.max()).clamp_min(-DYNAMIC_RANGE)
