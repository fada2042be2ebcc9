"""The parts of sequential and of permuted MNIST."""

from pathlib import Path

from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.mnist import LabelledImages, load_mnist
from benchmarks.data.random_splits import hold_out
from benchmarks.tasks.checks import checked_count
from benchmarks.tasks.sequences import PixelSequences, Scale, Splits

LENGTH = 28 * 28
# Mean and standard deviation of the pixels of the 60,000 training images as they are customarily rounded.
SCALE = Scale(maximum=255.0, mean=0.1307, std=0.3081)


def mnist_splits(
    data_dir: Path | None, val_size: int, split_seed: int, order: Int64[Tensor, "time"] | None = None
) -> Splits:
    """MNIST in the three parts of a task.

    Validation is `val_size` of the training images, drawn at random by `split_seed` without stratification; the rest
    is for training. The test part is the published one.

    Args:
        data_dir: where the files are, or None; as `benchmarks.data.mnist.locate_mnist`.
        val_size: images held out for validation.
        split_seed: of that draw.
        order: step t reads pixel `order[t]` of the scanline; None reads the scanline itself.

    Raises:
        as `benchmarks.data.mnist.load_mnist`; ValueError: the files hold too few images for `val_size`.
    """
    mnist = load_mnist(data_dir)
    count = len(mnist.train.labels)
    kept, held = hold_out(count, checked_count("val_size", val_size, most=count - 1), split_seed)
    return Splits(
        train=_sequences(mnist.train, order, kept),
        val=_sequences(mnist.train, order, held),
        test=_sequences(mnist.test, order),
        checksum=mnist.checksum,
    )


def _sequences(
    part: LabelledImages, order: Int64[Tensor, "time"] | None, rows: Int64[Tensor, "count"] | None = None
) -> PixelSequences:
    pixels, labels = part.images.flatten(1), part.labels
    if rows is not None:
        pixels, labels = pixels[rows], labels[rows]
    return PixelSequences(pixels if order is None else pixels[:, order], labels, SCALE)
