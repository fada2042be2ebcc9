"""MNIST: its four published files, found in a folder or downloaded, checked and read.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, 1998.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from benchmarks.data.checksum import ContentCheck, IdxFile, check_content, read_content, warn_of_mismatch
from benchmarks.data.download import download
from benchmarks.data.errors import DataFileError, MissingDataError
from benchmarks.data.idx import parse_idx

ENVIRONMENT_VARIABLE = "ODERNN_DATA"
NUM_CLASSES = 10

TRAIN_IMAGES = IdxFile(
    "train-images-idx3-ubyte", (60_000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
)
TRAIN_LABELS = IdxFile(
    "train-labels-idx1-ubyte", (60_000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
)
TEST_IMAGES = IdxFile(
    "t10k-images-idx3-ubyte", (10_000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
)
TEST_LABELS = IdxFile(
    "t10k-labels-idx1-ubyte", (10_000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
)
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

# Folders looked at beneath a data folder: itself, this project's name for it, torchvision's.
SUBFOLDERS = ("", "mnist", "MNIST/raw")

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://azureopendatastorage.blob.core.windows.net/mnist/",
)


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and what they show: unsigned bytes, 0 for paper and 255 for ink, and labels 0 to 9."""

    images: UInt8[Tensor, "count row column"]
    labels: Int64[Tensor, "count"]


@dataclass(frozen=True, eq=False)
class Mnist:
    """The training and the test part as published, and the checksum of each file they were read from."""

    train: LabelledImages
    test: LabelledImages
    checksum: dict[str, ContentCheck]


def load_mnist(data_dir: Path | None) -> Mnist:
    """MNIST from the folder `locate_mnist(data_dir)` finds.

    Content that is sound but not the published one is used, with one `DataChecksumWarning`, and marked in `checksum`.

    Raises:
        MissingDataError, DownloadError: as `locate_mnist`.
        DataFileError: a file is truncated, corrupt or of another format, labels are out of range, or there are not
            as many labels as images.
    """
    paths = locate_mnist(data_dir)
    contents = {file: read_content(paths[file.name], limit=file.content_size) for file in FILES}
    arrays = {file: parse_idx(content, path=paths[file.name], shape=file.shape) for file, content in contents.items()}
    train = _pair(arrays[TRAIN_IMAGES], arrays[TRAIN_LABELS], paths[TRAIN_LABELS.name])
    test = _pair(arrays[TEST_IMAGES], arrays[TEST_LABELS], paths[TEST_LABELS.name])
    checksum = {file.name: check_content(content, file.sha256) for file, content in contents.items()}
    warn_of_mismatch(checksum)
    return Mnist(train, test, checksum)


def _pair(images: Tensor, labels: Tensor, path: Path) -> LabelledImages:
    if len(images) != len(labels):
        raise DataFileError.about(path, f"it holds {len(labels):,} labels for {len(images):,} images")
    if (largest := int(labels.max())) >= NUM_CLASSES:
        raise DataFileError.about(path, f"its labels go up to {largest}, 0 to {NUM_CLASSES - 1} were wanted")
    return LabelledImages(images, labels.to(torch.int64))


def locate_mnist(data_dir: Path | None) -> Mapping[str, Path]:
    """The paths of the four files, by their names without `.gz`.

    They are looked for in `data_dir`; if that is None, in the folder that the environment variable ODERNN_DATA names;
    if that is not set, or empty, they are downloaded into the user's cache unless they are there already.

    Raises:
        MissingDataError: the folder that was named does not hold them.
        DownloadError: the download failed on every mirror.
    """
    if data_dir is not None:
        return find_mnist(data_dir, named_by="`data_dir`")
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return find_mnist(Path(named), named_by=f"the environment variable {ENVIRONMENT_VARIABLE}")
    cache = Path(pooch.os_cache("odernn")) / "mnist"
    return {file.name: download(file, cache, mirrors=MIRRORS) for file in FILES}


def find_mnist(data_dir: Path, *, named_by: str = "`data_dir`") -> Mapping[str, Path]:
    """The paths of the four files beneath `data_dir`, all from the first of its `SUBFOLDERS` that holds all four.

    Each may be gzipped, with `.gz` after its name, or not.

    Raises:
        MissingDataError: no such folder; names what is wanted, the folders looked at and what each lacks.
    """
    folders = [data_dir.expanduser() / subfolder for subfolder in SUBFOLDERS]
    missing = []
    for folder in folders:
        found = {file.name: path for file in FILES if (path := _find(folder, file.name)) is not None}
        if len(found) == len(FILES):
            return found
        missing.append(f"  {folder} {_lack(folder, set(found))}")
    raise MissingDataError(
        f"MNIST is not in the folder that {named_by} names. Wanted: {', '.join(file.name for file in FILES)}, each "
        "with or without .gz. Looked at:\n" + "\n".join(missing) + "\nPut the files into one of these folders, name "
        "another with `--data DIR`, or name none to have them downloaded."
    )


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def _lack(folder: Path, found: set[str]) -> str:
    if not folder.is_dir():
        return "is no folder"
    return f"lacks {', '.join(file.name for file in FILES if file.name not in found)}"
