"""The parts of the digits tasks."""

from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.digits import load_digits
from benchmarks.data.random_splits import hold_out_stratified
from benchmarks.tasks.sequences import PixelSequences, Scale, Splits

LENGTH = 8 * 8
TEST_SIZE = 300
LARGEST_VAL_SIZE = 1797 - TEST_SIZE - 1
# The published data have no test part of their own. Ours is the same whatever the task's seeds are, so that no choice
# of `split_seed` shows a model what it will be tested on.
TEST_SEED = 0
MAXIMUM = 16.0


def digits_splits(val_size: int, split_seed: int, order: Int64[Tensor, "time"] | None = None) -> Splits:
    """The digits in the three parts of a task, each holding the classes in proportion.

    Test is a fixed 300 images, validation `val_size` of the others drawn by `split_seed`, training the rest. Pixels
    are standardised with the mean and standard deviation of the training part.

    Args:
        val_size: images held out for validation.
        split_seed: of that draw.
        order: step t reads pixel `order[t]` of the scanline; None reads the scanline itself.
    """
    digits = load_digits()
    rest, test = hold_out_stratified(digits.labels, TEST_SIZE, TEST_SEED)
    kept, held = hold_out_stratified(digits.labels[rest], val_size, split_seed)
    scale = Scale.of(digits.pixels[rest[kept]], MAXIMUM)
    pixels = digits.pixels if order is None else digits.pixels[:, order]
    train, val, test = (
        PixelSequences(pixels[rows], digits.labels[rows], scale) for rows in (rest[kept], rest[held], test)
    )
    return Splits(train, val, test, digits.checksum)
