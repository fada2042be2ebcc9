"""Noise-padded MNIST: the rows of an image, and then noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from benchmarks.data.images import ImageSource
from benchmarks.data.mnist import MNIST
from benchmarks.objectives import Classification, Objective
from benchmarks.tasks.images import MNIST_SCALE, MNIST_SIDE, Scale
from benchmarks.tasks.noise_padding import NoisePaddedTask


@final
@dataclass(kw_only=True, eq=False)
class NoisePaddedMNIST(NoisePaddedTask):
    """MNIST one row a step, 28 steps of 28 numbers, and then standard Gaussian noise to T = 1000.

    55,000 images for training, 5,000 for validation, the published 10,000 for test. It is not a task of the paper's,
    but the smaller sister of its noise-padded CIFAR-10.
    """

    source: ClassVar[ImageSource] = MNIST
    input_size: ClassVar[int] = MNIST_SIDE
    objective: ClassVar[Objective] = Classification(10)

    @property
    def name(self) -> str:
        return "noise-padded-mnist"

    @property
    def scale(self) -> Scale:
        return MNIST_SCALE

    def rebuild(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch row column"]:
        return MNIST_SCALE.undo(x[:, :MNIST_SIDE])
