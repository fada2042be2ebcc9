"""The parts of a task on images, whose pixels, labels and scale tests look at."""

from typing import NamedTuple

from benchmarks.data.checksum import ContentCheck
from benchmarks.tasks.images import ImageSequences
from benchmarks.tasks.samples import Samples, Splits


class ImageParts(NamedTuple):
    train: ImageSequences
    val: ImageSequences
    test: ImageSequences
    checksum: dict[str, ContentCheck]


def image_parts(splits: Splits) -> ImageParts:
    """The parts, known to be images."""
    return ImageParts(_images(splits.train), _images(splits.val), _images(splits.test), splits.checksum)


def _images(samples: Samples) -> ImageSequences:
    assert isinstance(samples, ImageSequences)
    return samples
