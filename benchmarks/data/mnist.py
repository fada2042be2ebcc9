"""MNIST: its four published files, found in a folder or downloaded, checked and read.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, 1998.
"""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.data.checksum import IdxFile, check_content, read_content, warn_of_mismatch
from benchmarks.data.download import download
from benchmarks.data.idx import parse_idx
from benchmarks.data.images import ImageSet, ImageSource, LabelledImages
from benchmarks.data.locate import Layout, cache_folder

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


LAYOUT = Layout("MNIST", tuple(file.name for file in FILES), SUBFOLDERS, suffixes=(".gz", ""))


def load_mnist(data_dir: Path | None) -> ImageSet:
    """MNIST from the folder `locate_mnist(data_dir)` finds: bytes from 0 for paper to 255 for ink, (count, 28, 28).

    Content that is sound but not the published one is used, with one `DataChecksumWarning`, and marked in `checksum`.

    Raises:
        MissingDataError, DownloadError: as `locate_mnist`.
        DataFileError: a file is truncated, corrupt or of another format, labels are out of range, or there are not
            as many labels as images.
    """
    paths = locate_mnist(data_dir)
    contents = {file: read_content(paths[file.name], limit=file.content_size) for file in FILES}
    arrays = {file: parse_idx(content, path=paths[file.name], shape=file.shape) for file, content in contents.items()}
    train, test = (
        LabelledImages.checked(arrays[images], arrays[labels], NUM_CLASSES, paths[labels.name])
        for images, labels in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS))
    )
    checksum = {file.name: check_content(content, file.sha256) for file, content in contents.items()}
    warn_of_mismatch(checksum)
    return ImageSet(train, test, checksum)


def locate_mnist(data_dir: Path | None) -> Mapping[str, Path]:
    """The paths of the four files, by their names without `.gz`.

    They are looked for in `data_dir`; if that is None, in the folder that the environment variable ODERNN_DATA names;
    if that is not set, or empty, they are downloaded into the user's cache unless they are there already.

    Raises:
        MissingDataError: the folder that was named does not hold them.
        DownloadError: the download failed on every mirror.
    """
    named = LAYOUT.find_named(data_dir)
    if named is not None:
        return named
    return {file.name: download(file, cache_folder("mnist"), mirrors=MIRRORS) for file in FILES}


MNIST = ImageSource(locate_mnist, load_mnist)
