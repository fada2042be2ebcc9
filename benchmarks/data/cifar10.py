"""CIFAR-10: the official binary files, found in a folder or downloaded, checked and read. No pickle is ever loaded.

Each of the six files holds 10,000 records of 3,073 bytes: a label, then the red, the green and the blue plane of
32 x 32 pixels, row by row.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, and the data set's page, "binary
version".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.data.archive import Archive, ArchiveMember, download_archive
from benchmarks.data.checksum import ContentCheck, check_content, read_content, warn_of_mismatch
from benchmarks.data.errors import DataFileError
from benchmarks.data.images import ImageSet, ImageSource, LabelledImages
from benchmarks.data.locate import Layout, cache_folder

NUM_CLASSES = 10
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)  # channel, row, column
RECORD = 1 + 3 * 32 * 32
RECORDS = 10_000
FOLDER = "cifar-10-batches-bin"


def _member(name: str, sha256: str) -> ArchiveMember:
    return ArchiveMember(f"{FOLDER}/{name}", name, RECORDS * RECORD, sha256)


TRAIN_FILES = (
    _member("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    _member("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    _member("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    _member("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    _member("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
)
TEST_FILE = _member("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b")
FILES = (*TRAIN_FILES, TEST_FILE)
ARCHIVE = Archive(
    "cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", FILES
)
MIRRORS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")

# A copy that went once through JPEG and was written in the official layout. What is made from it is called
# so: it is not comparable to the last per cent.
JPEG_COPY = "CIFAR-10 (JPEG)"
JPEG_SHA256 = (
    "79269768f8fc6af7dde98745beb01643c5389e79530938eff061cda91d1d50d6",
    "196cabb07fd3fd752b3f176d2d2a6d58e4fc26cd56cf05c25ba2c3e54d5ae2c1",
    "86426653324177ac7544c1f71d180fc9e8eaaab6551f24aa260a13716aaf7a5d",
    "f192a54532c5c02dae93ee094319b26bbd0202327d3b276aadbf8c5004c2421b",
    "7033b9ea9eef5c9615bfd535fafac2bd380ff9771e270aca274e7f1fd7be1e86",
    "892bd8f767e3906b11892bfa8e53110d2cdddfafdefdbb590c4259a40c519d57",
)

# Folders looked at beneath a data folder: itself, the archive's own, the same under this project's name.
LAYOUT = Layout("CIFAR-10", tuple(file.name for file in FILES), ("", FOLDER, "cifar10", f"cifar10/{FOLDER}"))


def load_cifar10(data_dir: Path | None) -> ImageSet:
    """CIFAR-10 from the folder `locate_cifar10(data_dir)` finds, images (count, channel, row, column).

    Content that is sound but not the published one is used, with one `DataChecksumWarning`, and marked in `checksum`.

    Raises:
        MissingDataError, DownloadError: as `locate_cifar10`.
        DataFileError: a file is truncated or too long, or labels are out of range.
    """
    paths = locate_cifar10(data_dir)
    contents = {file: read_content(paths[file.name], limit=file.size) for file in FILES}
    parts = {file: parse_records(content, path=paths[file.name]) for file, content in contents.items()}
    checksum = {file.name: check_content(content, file.sha256) for file, content in contents.items()}
    warn_of_mismatch(checksum)
    return ImageSet(_joined([parts[file] for file in TRAIN_FILES]), parts[TEST_FILE], checksum)


def parse_records(content: bytes, *, path: Path) -> LabelledImages:
    """The images and labels in the `content` of a file, which came from `path`.

    Fewer records than published are a sound file, whose checksum then tells that it is not the whole.

    Raises:
        DataFileError: no records, a number of bytes that is not one of whole records, or labels out of range.
    """
    if not content or len(content) % RECORD:
        raise DataFileError.about(
            path, f"it is truncated or no CIFAR-10 file: {len(content):,} bytes are not whole records of {RECORD:,}"
        )
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(-1, RECORD)
    return LabelledImages.checked(records[:, 1:].reshape(-1, *SHAPE), records[:, 0], NUM_CLASSES, path)


def locate_cifar10(data_dir: Path | None) -> Mapping[str, Path]:
    """The paths of the six files, by name.

    They are looked for in `data_dir`; if that is None, in the folder that the environment variable ODERNN_DATA names;
    if that is not set, or empty, they are downloaded into the user's cache unless they are there already.

    Raises:
        MissingDataError: the folder that was named does not hold them.
        DownloadError: the download failed on every mirror.
    """
    named = LAYOUT.find_named(data_dir)
    return download_archive(ARCHIVE, cache_folder("cifar10"), mirrors=MIRRORS) if named is None else named


def data_variants(checksum: Mapping[str, ContentCheck]) -> tuple[str, ...]:
    """What results made from these files are called beside CIFAR-10; empty for the published ones."""
    if all(check["verified"] for check in checksum.values()):
        return ()
    if tuple(check["sha256"] for check in checksum.values()) == JPEG_SHA256:
        return (JPEG_COPY,)
    return ("not the published CIFAR-10",)


def _joined(parts: Sequence[LabelledImages]) -> LabelledImages:
    return LabelledImages(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


CIFAR10 = ImageSource(locate_cifar10, load_cifar10, data_variants)
