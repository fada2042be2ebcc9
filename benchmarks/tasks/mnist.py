"""Sequential and permuted MNIST: one pixel a step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.mnist import LabelledImages, load_mnist, locate_mnist
from benchmarks.data.random_splits import hold_out, permutation
from benchmarks.objectives import Classification, Objective
from benchmarks.tasks.arguments import check_count, count, folder, optional_seed, seed
from benchmarks.tasks.images import ImageSequences, Scale
from benchmarks.tasks.samples import Splits
from benchmarks.tasks.task import Task

# Mean and standard deviation of the pixels of the 60,000 training images as they are customarily rounded.
SCALE = Scale(maximum=255.0, mean=(0.1307,), std=(0.3081,))


@final
@dataclass(kw_only=True, eq=False)
class PixelMNIST(Task):
    """MNIST one pixel a step, T = 784: 55,000 images for training, 5,000 for validation, the published 10,000 for test.

    Without a `permutation_seed` it is `smnist`, scanline from the top left; with one it is `pmnist`, all images in one
    random order of the pixels: `torch.randperm(784)` from a generator on the CPU with that seed, step t reading pixel
    order[t] of the scanline. It is a random permutation as in the paper, whose own seed is unknown; some published code
    uses bit reversal instead.

    Source: Chang et al., AntisymmetricRNN, arXiv 1902.09689, sec. 5.1, with validation held out here.

    Args:
        data_dir: folder with the four idx files, gzipped or not, in itself, `mnist/` or `MNIST/raw/`. None: the folder
            that the environment variable ODERNN_DATA names; if that is not set, a download into the user's cache.
        val_size: training images held out for validation, at random, without stratification.
        split_seed: of that draw. Results are comparable only where it is the same.
        permutation_seed: of the order of the pixels; None for the scanline. Results are comparable only where it is
            the same.

    Raises:
        TypeError, ValueError: an argument of a wrong type or out of range.
        MissingDataError: `data_dir` is no folder. What is wrong with the files is raised by `setup`.
    """

    data_dir: Path | None = folder()
    val_size: int = count(5000, most=59_999)
    split_seed: int = seed()
    permutation_seed: int | None = optional_seed()

    input_size: ClassVar[int] = 1
    objective: ClassVar[Objective] = Classification(10)

    @property
    def name(self) -> str:
        return "smnist" if self.permutation_seed is None else "pmnist"

    @property
    def length(self) -> int:
        return 28 * 28

    def prepare_data(self) -> None:
        """Downloads what is not there."""
        locate_mnist(self.data_dir)

    def read(self) -> Splits:
        """The three parts.

        Raises:
            as `benchmarks.data.mnist.load_mnist`; ValueError: the files hold too few images for `val_size`.
        """
        mnist = load_mnist(self.data_dir)
        total = len(mnist.train.labels)
        check_count("val_size", self.val_size, most=total - 1)
        train, test = self._sequences(mnist.train), self._sequences(mnist.test)
        kept, held = hold_out(total, self.val_size, self.split_seed)
        return Splits(_part(train, kept), _part(train, held), test, mnist.checksum)

    def _sequences(self, part: LabelledImages) -> ImageSequences:
        pixels = part.images.flatten(1)
        if self.permutation_seed is not None:
            pixels = pixels[:, permutation(self.length, self.permutation_seed)]
        return ImageSequences(pixels.unsqueeze(-1), part.labels, SCALE)


def _part(samples: ImageSequences, rows: Int64[Tensor, "count"]) -> ImageSequences:
    return ImageSequences(samples.pixels[rows], samples.labels[rows], samples.scale)
