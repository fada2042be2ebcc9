"""Pixel CIFAR-10: the three channels of one pixel a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from benchmarks.data.cifar10 import CIFAR10, CLASSES
from benchmarks.data.images import ImageSource, LabelledImages
from benchmarks.objectives import Classification, Objective
from benchmarks.tasks.image_task import ImageTask
from benchmarks.tasks.images import CIFAR_SCALE, CIFAR_SIDE, ImageSequences
from benchmarks.tasks.samples import Part


@final
@dataclass(kw_only=True, eq=False)
class PixelCIFAR(ImageTask):
    """CIFAR-10 one pixel a step, T = 1024, red, green and blue of the same pixel; scanline from the top left.

    45,000 images for training, 5,000 for validation, the published 10,000 for test; no augmentation. Each channel is
    standardised by its mean and standard deviation over the training images.

    Source: Chang et al., AntisymmetricRNN, arXiv 1902.09689, sec. 5, with validation held out here.
    """

    source: ClassVar[ImageSource] = CIFAR10
    input_size: ClassVar[int] = 3
    objective: ClassVar[Objective] = Classification(10, class_names=CLASSES)

    @property
    def name(self) -> str:
        return "pixel-cifar"

    @property
    def length(self) -> int:
        return CIFAR_SIDE * CIFAR_SIDE

    def samples(self, images: LabelledImages, part: Part) -> ImageSequences:
        pixels = rearrange(images.images, "n channel row column -> n (row column) channel").contiguous()
        return ImageSequences(pixels, images.labels, CIFAR_SCALE)

    def rebuild(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch row column channel"]:
        return rearrange(CIFAR_SCALE.undo(x), "n (row column) channel -> n row column channel", row=CIFAR_SIDE)
