"""Sequential and permuted MNIST: one pixel a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.data.images import ImageSource, LabelledImages
from benchmarks.data.mnist import MNIST
from benchmarks.data.random_splits import permutation
from benchmarks.objectives import Classification, Objective
from benchmarks.tasks.arguments import optional_seed
from benchmarks.tasks.image_task import ImageTask
from benchmarks.tasks.images import MNIST_SCALE, MNIST_SIDE, ImageSequences
from benchmarks.tasks.samples import Part


@final
@dataclass(kw_only=True, eq=False)
class PixelMNIST(ImageTask):
    """MNIST one pixel a step, T = 784: 55,000 images for training, 5,000 for validation, the published 10,000 for test.

    Without a `permutation_seed` it is `smnist`, scanline from the top left; with one it is `pmnist`, all images in one
    random order of the pixels: `torch.randperm(784)` from a generator on the CPU with that seed, step t reading pixel
    order[t] of the scanline. It is a random permutation as in the paper, whose own seed is unknown; some published code
    uses bit reversal instead. Pixels are standardised by the mean and standard deviation of the training images.

    Source: Chang et al., AntisymmetricRNN, arXiv 1902.09689, sec. 5.1, with validation held out here.

    Args:
        permutation_seed: of the order of the pixels; None for the scanline. Results are comparable only where it is
            the same.
    """

    permutation_seed: int | None = optional_seed()

    source: ClassVar[ImageSource] = MNIST
    input_size: ClassVar[int] = 1
    objective: ClassVar[Objective] = Classification(10)

    @property
    def name(self) -> str:
        return "smnist" if self.permutation_seed is None else "pmnist"

    @property
    def length(self) -> int:
        return MNIST_SIDE * MNIST_SIDE

    @property
    def order(self) -> Int64[Tensor, "time"]:
        """Step t reads pixel order[t] of the scanline."""
        if self.permutation_seed is None:
            return torch.arange(self.length)
        return permutation(self.length, self.permutation_seed)

    def samples(self, images: LabelledImages, part: Part) -> ImageSequences:
        pixels = rearrange(images.images, "n row column -> n (row column) 1")
        return ImageSequences(pixels[:, self.order], images.labels, MNIST_SCALE)

    def rebuild(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch row column"]:
        scanline = torch.empty_like(x)
        scanline[:, self.order] = x
        return rearrange(MNIST_SCALE.undo(scanline), "n (row column) 1 -> n row column", row=MNIST_SIDE)
