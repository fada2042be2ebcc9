"""The digits task: scikit-learn's 8 x 8 handwritten digits, one pixel a step, scanline from the top left."""

from typing import ClassVar

from benchmarks.tasks.checks import checked_count, checked_seed
from benchmarks.tasks.digits_splits import LARGEST_VAL_SIZE, LENGTH, digits_splits
from benchmarks.tasks.loading import Loading
from benchmarks.tasks.pixel_task import PixelTask
from benchmarks.tasks.sequences import Splits


class Digits(PixelTask):
    """The 1,797 digits, T = 64: 1,297 for training, 200 for validation, 300 for test, classes in proportion.

    The data come with scikit-learn; they are real, small, and need no download.

    Args:
        batch_size: samples a training batch; the last one of an epoch holds what is left.
        eval_batch_size: samples a batch of validation and test.
        seed: of the training order, and of nothing else.
        val_size: images held out for validation, taken from training; the 300 for test are always the same.
        split_seed: of that draw. Results are comparable only where it is the same.

    Raises:
        TypeError, ValueError: an argument of a wrong type or out of range.
    """

    name: ClassVar[str] = "digits"
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
    ) -> None:
        super().__init__()
        self.loading = Loading(batch_size, eval_batch_size, seed)
        self.val_size = checked_count("val_size", val_size, most=LARGEST_VAL_SIZE)
        self.split_seed = checked_seed("split_seed", split_seed)

    def read(self) -> Splits:
        """The three parts, in scanline order."""
        return digits_splits(self.val_size, self.split_seed)
