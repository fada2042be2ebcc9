"""Labelled images, as every image data set gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from benchmarks.data.checksum import ContentCheck
from benchmarks.data.errors import DataFileError


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images as unsigned bytes, (count, row, column) or (count, channel, row, column), and what each shows."""

    images: UInt8[Tensor, "count *shape"]
    labels: Int64[Tensor, "count"]

    @classmethod
    def checked(cls, images: Tensor, labels: Tensor, num_classes: int, path: Path) -> LabelledImages:
        """Images with their labels, which came from `path`.

        Raises:
            DataFileError: there are not as many labels as images, or a label is out of range.
        """
        if len(images) != len(labels):
            raise DataFileError.about(path, f"it holds {len(labels):,} labels for {len(images):,} images")
        if (largest := int(labels.max())) >= num_classes:
            raise DataFileError.about(path, f"its labels go up to {largest}, 0 to {num_classes - 1} were wanted")
        return cls(images, labels.to(torch.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, rows: Int64[Tensor, "rows"]) -> LabelledImages:
        """Some of them."""
        return LabelledImages(self.images[rows], self.labels[rows])


def no_variants(checksum: Mapping[str, ContentCheck]) -> tuple[str, ...]:
    """The checksum's mark says enough."""
    return ()


@dataclass(frozen=True)
class ImageSource:
    """An image data set: how its files are found, and read from the folder that is named, if one is.

    Attributes:
        locate: finds the files, or downloads them.
        load: reads them.
        variants: what results made from files with these checksums are called beside the data set's name.
    """

    locate: Callable[[Path | None], object]
    load: Callable[[Path | None], ImageSet]
    variants: Callable[[Mapping[str, ContentCheck]], tuple[str, ...]] = no_variants


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The training and the test part as published, and the checksum of each file they were read from."""

    train: LabelledImages
    test: LabelledImages
    checksum: dict[str, ContentCheck]
