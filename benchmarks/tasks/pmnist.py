"""Permuted MNIST: sequential MNIST with its pixels in one fixed random order."""

from pathlib import Path
from typing import ClassVar

from benchmarks.data.mnist import locate_mnist
from benchmarks.data.random_splits import permutation
from benchmarks.tasks.checks import checked_count, checked_folder, checked_seed
from benchmarks.tasks.loading import Loading
from benchmarks.tasks.mnist_splits import LENGTH, mnist_splits
from benchmarks.tasks.pixel_task import PixelTask
from benchmarks.tasks.sequences import Splits


class PermutedMNIST(PixelTask):
    """Permuted MNIST, T = 784: the images and parts of `SequentialMNIST`, all in one random order of the pixels.

    The order is `torch.randperm(784)` from a generator on the CPU with `permutation_seed`: step t reads pixel order[t]
    of the scanline. It is a random permutation as in the paper, whose own seed is unknown; some published code uses
    bit reversal instead.

    Source: Chang et al., AntisymmetricRNN, arXiv 1902.09689, sec. 5.1, with validation held out here.

    Args:
        data_dir: folder with the four idx files, gzipped or not, in itself, `mnist/` or `MNIST/raw/`. None: the folder
            that the environment variable ODERNN_DATA names; if that is not set, a download into the user's cache.
        batch_size: samples a training batch; the last one of an epoch holds what is left.
        eval_batch_size: samples a batch of validation and test.
        seed: of the training order, and of nothing else.
        val_size: training images held out for validation, at random.
        split_seed: of that draw. Results are comparable only where it is the same.
        permutation_seed: of the order of the pixels. Results are comparable only where it is the same.

    Raises:
        TypeError, ValueError: an argument of a wrong type or out of range.
        MissingDataError: `data_dir` is no folder. What is wrong with the files is raised by `setup`.
    """

    name: ClassVar[str] = "pmnist"
    input_size: ClassVar[int] = 1
    num_classes: ClassVar[int] = 10
    length: ClassVar[int] = LENGTH

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        batch_size: int = 128,
        eval_batch_size: int = 1000,
        seed: int = 0,
        val_size: int = 5000,
        split_seed: int = 0,
        permutation_seed: int = 0,
    ) -> None:
        super().__init__()
        self.data_dir = checked_folder("data_dir", data_dir)
        self.loading = Loading(batch_size, eval_batch_size, seed)
        self.val_size = checked_count("val_size", val_size, most=59_999)
        self.split_seed = checked_seed("split_seed", split_seed)
        self.permutation_seed = checked_seed("permutation_seed", permutation_seed)

    def prepare_data(self) -> None:
        """Downloads what is not there."""
        locate_mnist(self.data_dir)

    def read(self) -> Splits:
        """The three parts, in the permuted order."""
        return mnist_splits(self.data_dir, self.val_size, self.split_seed, permutation(LENGTH, self.permutation_seed))
