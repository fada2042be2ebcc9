"""The permuted digits task: the digits with their pixels in one fixed random order."""

from typing import ClassVar

from benchmarks.data.random_splits import permutation
from benchmarks.tasks.checks import checked_count, checked_seed
from benchmarks.tasks.digits_splits import LARGEST_VAL_SIZE, LENGTH, digits_splits
from benchmarks.tasks.loading import Loading
from benchmarks.tasks.pixel_task import PixelTask
from benchmarks.tasks.sequences import Splits


class PermutedDigits(PixelTask):
    """The images and parts of `Digits`, T = 64, all in one random order of the pixels.

    The order is `torch.randperm(64)` from a generator on the CPU with `permutation_seed`: step t reads pixel order[t]
    of the scanline.

    Args:
        batch_size: samples a training batch; the last one of an epoch holds what is left.
        eval_batch_size: samples a batch of validation and test.
        seed: of the training order, and of nothing else.
        val_size: images held out for validation, taken from training; the 300 for test are always the same.
        split_seed: of that draw. Results are comparable only where it is the same.
        permutation_seed: of the order of the pixels. Results are comparable only where it is the same.

    Raises:
        TypeError, ValueError: an argument of a wrong type or out of range.
    """

    name: ClassVar[str] = "digits-permuted"
    input_size: ClassVar[int] = 1
    num_classes: ClassVar[int] = 10
    length: ClassVar[int] = LENGTH

    def __init__(
        self,
        *,
        batch_size: int = 128,
        eval_batch_size: int = 1000,
        seed: int = 0,
        val_size: int = 200,
        split_seed: int = 0,
        permutation_seed: int = 0,
    ) -> None:
        super().__init__()
        self.loading = Loading(batch_size, eval_batch_size, seed)
        self.val_size = checked_count("val_size", val_size, most=LARGEST_VAL_SIZE)
        self.split_seed = checked_seed("split_seed", split_seed)
        self.permutation_seed = checked_seed("permutation_seed", permutation_seed)

    def read(self) -> Splits:
        """The three parts, in the permuted order."""
        return digits_splits(self.val_size, self.split_seed, permutation(LENGTH, self.permutation_seed))
