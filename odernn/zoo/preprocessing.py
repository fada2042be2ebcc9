"""Preprocessing: from images to the sequences that a network was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Real
from torch import Tensor


@dataclass(frozen=True)
class Preprocessing:
    """Images, one pixel a step: (pixel / maximum - mean) / std, in a fixed order.

    Attributes:
        rows: of an image.
        columns: of an image.
        channels: numbers a pixel.
        maximum: the largest value of a pixel; the smallest is 0.
        mean: of each channel, on the scale from 0 to 1.
        std: its standard deviation, likewise.
        order: step t reads pixel order[t] of the scanline from the top left; None for the scanline itself.
    """

    rows: int
    columns: int
    channels: int
    maximum: float
    mean: list[float]
    std: list[float]
    order: list[int] | None = None

    def __post_init__(self) -> None:
        time = self.rows * self.columns
        if self.order is not None and sorted(self.order) != list(range(time)):
            raise ValueError(f"`order` is not a permutation of the {time} pixels")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"`mean` and `std` have {len(self.mean)} and {len(self.std)} entries, not {self.channels}")
        if not self.maximum > 0 or not all(value > 0 for value in self.std):
            raise ValueError(f"`maximum` is {self.maximum} and `std` {self.std}; they must be above 0")

    @property
    def said(self) -> str:
        """The preprocessing in words."""
        shape = f"{self.rows} x {self.columns}" + (f" of {self.channels} channels" if self.channels > 1 else "")
        order = "the scanline" if self.order is None else "a fixed permutation of the pixels"
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return f"images {shape}, pixels from 0 to {self.maximum:g}, divided by it, less {mean}, over {std}, in {order}"

    def __call__(self, images: Real[Tensor, "batch *channel row column"]) -> Float[Tensor, "batch time channel"]:
        """The sequences of images, in float32.

        Args:
            images: pixels from 0 to `maximum`, of any dtype: (batch, row, column), with several channels
                (batch, channel, row, column).

        Raises:
            TypeError, ValueError: something that is not a tensor of such a shape, pixels out of range.
        """
        wanted = (self.rows, self.columns) if self.channels == 1 else (self.channels, self.rows, self.columns)
        if not isinstance(images, Tensor):
            raise TypeError(f"`images` is {type(images).__name__}; give a torch.Tensor")
        if images.shape[1:] != torch.Size(wanted):
            raise ValueError(f"`images` has shape {tuple(images.shape)}; give (batch, {', '.join(map(str, wanted))})")
        pixels = images.to(torch.float32)
        if len(pixels) and not bool((pixels.min() >= 0) & (pixels.max() <= self.maximum)):
            raise ValueError(f"`images` has pixels that are not from 0 to {self.maximum:g}")
        x = pixels.reshape(len(images), self.channels, -1).transpose(1, 2) / self.maximum
        x = (x - x.new_tensor(self.mean)) / x.new_tensor(self.std)
        return x if self.order is None else x[:, torch.tensor(self.order, device=x.device)]
