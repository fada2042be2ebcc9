"""What the tasks on an image data set have in common: where the files are, and which images are held out."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.data.images import ImageSource, LabelledImages
from benchmarks.data.random_splits import hold_out
from benchmarks.tasks.arguments import check_count, count, folder, seed
from benchmarks.tasks.samples import Part, Samples, Splits
from benchmarks.tasks.task import Task


@dataclass(kw_only=True, eq=False)
class ImageTask(Task):
    """Labelled images, read as sequences. Abstract.

    Validation images are drawn from the training part at random, without stratification; the test part is the
    published one.

    Attributes:
        source: the data set.

    Args:
        data_dir: folder with the files of the data set. None: the folder that the environment variable ODERNN_DATA
            names; if that is not set, a download into the user's cache.
        val_size: training images held out for validation.
        split_seed: of that draw. Results are comparable only where it is the same.

    Raises:
        MissingDataError: `data_dir` is not a folder. What is wrong with the files is raised by `setup`.
    """

    data_dir: Path | None = folder()
    val_size: int = count(5000, most=59_999)
    split_seed: int = seed()

    source: ClassVar[ImageSource]

    @property
    def own_variants(self) -> tuple[str, ...]:
        return self.source.variants(self.data_checksum)

    def prepare_data(self) -> None:
        """Downloads what is not there."""
        self.source.locate(self.data_dir)

    @abc.abstractmethod
    def samples(self, images: LabelledImages, part: Part) -> Samples:
        """The images of one part as sequences."""

    def read(self) -> Splits:
        """The three parts.

        Raises:
            as the data set's loader; ValueError: the files hold too few images for `val_size`.
        """
        data = self.source.load(self.data_dir)
        check_count("val_size", self.val_size, most=len(data.train) - 1)
        kept, held = hold_out(len(data.train), self.val_size, self.split_seed)
        train, val = data.train.part(kept), data.train.part(held)
        return Splits(
            self.samples(train, "train"), self.samples(val, "val"), self.samples(data.test, "test"), data.checksum
        )
