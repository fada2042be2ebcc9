"""Images read one row a step, and then noise: the information lies hundreds of steps before the end."""

from __future__ import annotations

import abc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Final, final

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.data.images import LabelledImages
from benchmarks.data.random_splits import random_numbers
from benchmarks.objectives import Batch
from benchmarks.tasks.arguments import count, flag, seed
from benchmarks.tasks.image_task import ImageTask
from benchmarks.tasks.images import ImageSequences, Scale
from benchmarks.tasks.samples import Part, Samples

FIXED: Final = "one fixed noise block"
PARTS: Final[tuple[Part, ...]] = ("train", "val", "test")

Noise = Callable[[Float[Tensor, "time input"], int, int], None]
"""Writes the noise of a row of a part, in an epoch, into a contiguous tensor on the CPU.

It does so by numpy: in a thread of its own torch would refuse a tensor that was made in inference mode.
"""


@final
@dataclass(frozen=True)
class FreshNoise:
    """Standard Gaussian noise of its own for every row and epoch.

    It is drawn where it is to lie. An array of its own for every row is new pages of the system's each time, which can
    take longer than the drawing.

    Attributes:
        key: what it is a function of, beside row and epoch.
    """

    key: tuple[int, ...]

    def __call__(self, out: Float[Tensor, "time input"], row: int, epoch: int) -> None:
        random_numbers(*self.key, epoch, row).standard_normal(dtype="float32", out=out.numpy())


@final
@dataclass(frozen=True)
class FixedNoise:
    """One block of standard Gaussian noise of `shape` (time, input) for all rows and epochs, a function of `key`."""

    shape: tuple[int, int]
    key: tuple[int, ...]

    def __call__(self, out: Float[Tensor, "time input"], row: int, epoch: int) -> None:
        out.numpy()[...] = self._block

    @cached_property
    def _block(self) -> np.ndarray:
        block = torch.empty(self.shape)
        FreshNoise(self.key)(block, 0, 0)
        return block.numpy()


@final
class NoisePadded(Samples):
    """Sequences with noise after them, up to a length.

    Args:
        images: the sequences before the noise.
        length: of a whole sequence.
        noise: what follows each, of the steps that are left.
    """

    def __init__(self, images: ImageSequences, length: int, noise: Noise) -> None:
        self.images = images
        self.length = length
        self.noise = noise

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        x, labels, _ = self.images.batch(rows, epoch)
        whole = x.new_empty(len(x), self.length, x.shape[2])
        whole[:, : x.shape[1]] = x
        self._pad(whole[:, x.shape[1] :], rows, epoch)
        return Batch(whole, labels)

    def _pad(self, rest: Float[Tensor, "batch time input"], rows: Int64[Tensor, "batch"], epoch: int) -> None:
        """Writes the noise of each row, drawn by as many threads as torch has: numpy does so without Python's lock."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(self.noise, rest, rows.tolist(), repeat(epoch)))


@dataclass(kw_only=True, eq=False)
class NoisePaddedTask(ImageTask):
    """Images one row a step, and then standard Gaussian noise to T = 1000. Abstract.

    The noise is independent for every number and every sample. In training each sample gets fresh noise in each epoch,
    a function of `noise_seed`, `seed`, epoch and sample; in validation and test its noise is always the same, a
    function of `noise_seed` and sample. Of a pixel's channels, red, green and blue stand together in a step.

    Four public repositories pad all images, for training and for test, with one and the same block of noise. That is
    an easier task; `fixed_noise` is that variant, and every result made with it says so.

    Args:
        sequence_length: T, the steps of image and noise together.
        noise_seed: of the noise. Results are comparable only where it is the same.
        fixed_noise: one block of noise for all samples, as in published code.
    """

    sequence_length: int = count(1000, least=33)
    noise_seed: int = seed()
    fixed_noise: bool = flag()

    @property
    @abc.abstractmethod
    def scale(self) -> Scale:
        """How the bytes of a step become numbers."""

    @property
    def length(self) -> int:
        return self.sequence_length

    @property
    def own_variants(self) -> tuple[str, ...]:
        return (*super().own_variants, *((FIXED,) if self.fixed_noise else ()))

    def samples(self, images: LabelledImages, part: Part) -> NoisePadded:
        rows = rows_as_steps(images)
        noise = self._noise(part, (self.length - rows.shape[1], rows.shape[2]))
        return NoisePadded(ImageSequences(rows, images.labels, self.scale), self.length, noise)

    def _noise(self, part: Part, shape: tuple[int, int]) -> Noise:
        if self.fixed_noise:
            return FixedNoise(shape, (self.noise_seed, 0, 0))
        run = self.seed if part == "train" else 0
        return FreshNoise((self.noise_seed, PARTS.index(part) + 1, run))


def rows_as_steps(images: LabelledImages) -> Tensor:
    """The bytes of images, one row a step, the channels of a pixel together: (count, row, column * channel)."""
    pixels = images.images
    return pixels if pixels.dim() == 3 else rearrange(pixels, "n channel row column -> n row (column channel)")
