"""Noise-padded CIFAR-10: the rows of an image, and then noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from benchmarks.data.cifar10 import CIFAR10, CLASSES
from benchmarks.data.images import ImageSource
from benchmarks.objectives import Classification, Objective
from benchmarks.tasks.images import CIFAR_SCALE, CIFAR_SIDE, Scale
from benchmarks.tasks.noise_padding import NoisePaddedTask


@final
@dataclass(kw_only=True, eq=False)
class NoisePaddedCIFAR(NoisePaddedTask):
    """CIFAR-10 one row a step, 32 steps of 96 numbers, and then standard Gaussian noise to T = 1000.

    45,000 images for training, 5,000 for validation, the published 10,000 for test; no augmentation. Each channel is
    standardised by its mean and standard deviation over the training images.

    Source: Chang et al., AntisymmetricRNN, arXiv 1902.09689, sec. 5, with validation held out here.
    """

    source: ClassVar[ImageSource] = CIFAR10
    input_size: ClassVar[int] = 3 * CIFAR_SIDE
    objective: ClassVar[Objective] = Classification(10, class_names=CLASSES)

    @property
    def name(self) -> str:
        return "noise-padded-cifar"

    @property
    def scale(self) -> Scale:
        return CIFAR_SCALE.repeated(CIFAR_SIDE)

    def rebuild(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch row column channel"]:
        rows = self.scale.undo(x[:, :CIFAR_SIDE])
        return rearrange(rows, "n row (column channel) -> n row column channel", channel=3)
