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

    def undo(self, x: Float[Tensor, "*items input"]) -> Float[Tensor, "*items input"]:
        """The pixels from 0 to 1 that were standardised to `x`."""
        return (x * torch.tensor(self.std) + torch.tensor(self.mean)).clamp(0, 1)

    def repeated(self, times: int) -> Self:
        """The same for steps that read `times` pixels with all their channels."""
        return type(self)(self.maximum, self.mean * times, self.std * times)


MNIST_SIDE = 28
# Mean and standard deviation of the pixels of the 60,000 training images as they are customarily rounded.
MNIST_SCALE = Scale(maximum=255.0, mean=(0.1307,), std=(0.3081,))
CIFAR_SIDE = 32
# Mean and standard deviation of red, green and blue over the 50,000 training images, customarily rounded.
CIFAR_SCALE = Scale(maximum=255.0, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))


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
