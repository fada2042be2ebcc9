"""Data for the benchmarks' tests: the real MNIST where it is found, and small files in its format."""

import gc
import gzip
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.data import MissingDataError, cifar10, mnist
from benchmarks.data.locate import ENVIRONMENT_VARIABLE
from tests.benchmarks.pages.browser import started
from tests.benchmarks.small_sets import write_har, write_ptb, write_speech


@pytest.fixture(scope="module")
def collected() -> None:
    """Spare the garbage collector what the tests before have left, where a module's tests ask for it at each turn."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A folder with the real MNIST: ODERNN_DATA, else `shared/data` beside the repository; skips where neither is."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get(ENVIRONMENT_VARIABLE) or beside)
    try:
        mnist.LAYOUT.find(folder)
    except MissingDataError:
        pytest.skip(f"no MNIST files in {folder}; name their folder with {ENVIRONMENT_VARIABLE}")
    return folder


@pytest.fixture(scope="session")
def idx_bytes() -> Callable[[Tensor], bytes]:
    """Writes an array of unsigned bytes in the idx format."""

    def write(array: Tensor) -> bytes:
        header = struct.pack(f">BBBB{array.dim()}I", 0, 0, 8, array.dim(), *array.shape)
        return header + array.numpy().tobytes()

    return write


@pytest.fixture(scope="session")
def small_mnist(idx_bytes) -> Callable[[Path], dict[str, Path]]:
    """Writes 300 + 40 random images and labels under MNIST's names, gzipped, into a folder."""

    def write(folder: Path) -> dict[str, Path]:
        draw = torch.Generator().manual_seed(0)
        paths = {}
        folder.mkdir(parents=True, exist_ok=True)
        for part, count in (("train", 300), ("t10k", 40)):
            images = torch.randint(256, (count, 28, 28), generator=draw, dtype=torch.uint8)
            labels = torch.randint(10, (count,), generator=draw, dtype=torch.uint8)
            for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
                paths[name] = folder / f"{name}.gz"
                paths[name].write_bytes(gzip.compress(idx_bytes(array), compresslevel=1))
        return paths

    return write


@pytest.fixture(scope="session")
def small_mnist_dir(small_mnist, tmp_path_factory) -> Path:
    """A folder, not to be written to, with the files of `small_mnist`."""
    folder = tmp_path_factory.mktemp("small-mnist")
    small_mnist(folder)
    return folder


@pytest.fixture(scope="session")
def cifar_dir() -> Path:
    """A folder with CIFAR-10's binary files, official or not, where ODERNN_DATA names one; else skips."""
    folder = os.environ.get(ENVIRONMENT_VARIABLE)
    try:
        cifar10.LAYOUT.find(Path(folder or "."))
    except MissingDataError:
        pytest.skip(f"no CIFAR-10 binary files in {folder}; name their folder with {ENVIRONMENT_VARIABLE}")
    return Path(folder or ".")


@pytest.fixture(scope="session")
def small_cifar() -> Callable[[Path], dict[str, Path]]:
    """Writes 60 random records a file under the names of CIFAR-10's binary files into a folder."""

    def write(folder: Path) -> dict[str, Path]:
        draw = torch.Generator().manual_seed(0)
        folder.mkdir(parents=True, exist_ok=True)
        paths = {}
        for file in cifar10.FILES:
            records = torch.randint(256, (60, cifar10.RECORD), generator=draw, dtype=torch.uint8)
            records[:, 0] %= 10
            paths[file.name] = folder / file.name
            paths[file.name].write_bytes(records.numpy().tobytes())
        return paths

    return write


@pytest.fixture(scope="session")
def small_cifar_dir(small_cifar, tmp_path_factory) -> Path:
    """A folder, not to be written to, with the files of `small_cifar`."""
    folder = tmp_path_factory.mktemp("small-cifar")
    small_cifar(folder)
    return folder


@pytest.fixture(scope="session")
def small_speech_dir(tmp_path_factory) -> Path:
    """A folder, not to be written to, in the layout of Speech Commands."""
    folder = tmp_path_factory.mktemp("small-speech")
    write_speech(folder)
    return folder


@pytest.fixture(scope="session")
def small_har_dir(tmp_path_factory) -> Path:
    """A folder, not to be written to, in the layout of UCI HAR."""
    folder = tmp_path_factory.mktemp("small-har")
    write_har(folder)
    return folder


@pytest.fixture(scope="session")
def small_text_dir(tmp_path_factory) -> Path:
    """A folder, not to be written to, with the Penn Treebank's files and a plain text."""
    folder = tmp_path_factory.mktemp("small-text")
    write_ptb(folder)
    (folder / "text.txt").write_text("It was the best of times, it was the worst of times.\n" * 200, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser without a window, for all pages one after the other; skips where there is none."""
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="session")
def task_arguments(
    small_mnist_dir, small_cifar_dir, small_speech_dir, small_har_dir, small_text_dir
) -> dict[str, dict]:
    """Arguments with which each task can be made without the real data, and is small."""
    mnist = {"data_dir": small_mnist_dir, "val_size": 50}
    permuted = {"permutation_seed": 0}
    cifar = {"data_dir": small_cifar_dir, "val_size": 50}
    drawn = {"train_size": 150, "val_size": 50, "test_size": 40}
    return {
        "digits": {},
        "digits-permuted": permuted,
        "smnist": mnist,
        "pmnist": mnist | permuted,
        "pixel-cifar": cifar,
        "noise-padded-cifar": cifar | {"sequence_length": 40},
        "noise-padded-mnist": mnist | {"sequence_length": 40},
        "adding": drawn | {"sequence_length": 20},
        "copy": drawn | {"recall": 3, "delay": 5},
        "har-2": {"data_dir": small_har_dir, "val_people": 2},
        "speech-commands-12": {"data_dir": small_speech_dir},
        "ptb-characters": {"data_dir": small_text_dir, "sequence_length": 8},
        "text-characters": {"data_dir": small_text_dir, "sequence_length": 8},
    }
