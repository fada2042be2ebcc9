"""Images as sequences of pixels, kept as bytes and turned into numbers a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.data.checksum import ContentCheck

Batch = tuple[Float[Tensor, "batch time input"], Int64[Tensor, "batch"]]


@dataclass(frozen=True)
class Scale:
    """Bytes to numbers: (pixel / maximum - mean) / std, so mean and std are those on the scale from 0 to 1."""

    maximum: float
    mean: float
    std: float

    @classmethod
    def of(cls, pixels: UInt8[Tensor, "count time"], maximum: float) -> Self:
        """The scale after which all of `pixels` together have mean 0 and standard deviation 1."""
        unit = pixels.to(torch.float64) / maximum
        return cls(maximum, unit.mean().item(), unit.std(correction=0).item())

    def __call__(self, pixels: UInt8[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The standardised pixels in float32."""
        return (pixels.to(torch.float32) / self.maximum - self.mean) / self.std


class PixelSequences(Dataset[Batch]):
    """Labelled images, one pixel a step; the order of the columns of `pixels` is the order in time.

    Args:
        pixels: one image a row.
        labels: what each shows.
        scale: how bytes become numbers.
    """

    def __init__(self, pixels: UInt8[Tensor, "count time"], labels: Int64[Tensor, "count"], scale: Scale) -> None:
        self.pixels = pixels
        self.labels = labels
        self.scale = scale

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "time input"], Int64[Tensor, ""]]:
        x, label = self.__getitems__([index])
        return x[0], label[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The whole batch at once: torch's loader asks for it by this name."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return self.scale(self.pixels[rows]).unsqueeze(-1), self.labels[rows]


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts of a task, disjoint, and the checksum of the data they were made from."""

    train: PixelSequences
    val: PixelSequences
    test: PixelSequences
    checksum: dict[str, ContentCheck]
