"""Labelled images as sequences, kept as bytes and turned into numbers a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from benchmarks.objectives import Batch
from benchmarks.tasks.samples import Samples


@dataclass(frozen=True)
class Scale:
    """Bytes to numbers: (pixel / maximum - mean) / std, so mean and std are those on the scale from 0 to 1.

    Attributes:
        maximum: the largest value of a byte.
        mean: one for each number of a step, or one for all.
        std: likewise.
    """

    maximum: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, pixels: UInt8[Tensor, "count time input"], maximum: float) -> Self:
        """The scale after which all of `pixels` together have mean 0 and standard deviation 1."""
        unit = pixels.to(torch.float64) / maximum
        return cls(maximum, (unit.mean().item(),), (unit.std(correction=0).item(),))

    def __call__(self, pixels: UInt8[Tensor, "*items input"]) -> Float[Tensor, "*items input"]:
        """The standardised pixels in float32."""
        return (pixels.to(torch.float32) / self.maximum - torch.tensor(self.mean)) / torch.tensor(self.std)


@final
class ImageSequences(Samples):
    """Labelled images in the order in which they are read.

    Args:
        pixels: one image a row; what a step reads of it stands together.
        labels: what each shows.
        scale: how bytes become numbers.
    """

    def __init__(self, pixels: UInt8[Tensor, "count time input"], labels: Int64[Tensor, "count"], scale: Scale) -> None:
        self.pixels = pixels
        self.labels = labels
        self.scale = scale

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        return Batch(self.scale(self.pixels[rows]), self.labels[rows])
