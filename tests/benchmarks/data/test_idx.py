"""Data files: what is sound is read, what is not is refused by an error that names file, fault and cure."""

import gzip
import struct
import warnings
from pathlib import Path

import pytest
import torch

from benchmarks.data import DataChecksumWarning, DataFileError, MissingDataError
from benchmarks.data.checksum import read_content
from benchmarks.data.idx import parse_idx
from benchmarks.data.mnist import FILES, LAYOUT, load_mnist, locate_mnist

SHAPE = (5, 2, 3)
ARRAY = torch.arange(24, dtype=torch.uint8).reshape(4, 2, 3)
FILE = Path("images-idx3-ubyte")


def test_the_array_is_read_with_its_last_index_fastest(idx_bytes):
    assert torch.equal(parse_idx(idx_bytes(ARRAY), path=FILE, shape=SHAPE), ARRAY)


def header(*dims: int, kind: int = 8, rank: int | None = None) -> bytes:
    return struct.pack(f">BBBB{len(dims)}I", 0, 0, kind, len(dims) if rank is None else rank, *dims)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it is not an idx file: it begins with nothing"),
        (b"\0\0\x08", "not an idx file"),
        (b"<!DOCTYPE html>", "not an idx file: it begins with 3c 21 44 4f"),
        (header(4, 2, 3, kind=0x0D) + bytes(24), "type 0x0d"),
        (header(24) + bytes(24), "1 dimensions, 3 were wanted"),
        (header(4, 2, rank=3), "ends inside its header, after 12 bytes"),
        (header(4, 3, 2) + bytes(24), r"shape \(4, 3, 2\), \(5, 2, 3\)"),
        (header(6, 2, 3) + bytes(36), r"shape \(6, 2, 3\)"),
        (header(0, 2, 3), r"shape \(0, 2, 3\)"),
        (header(4, 2, 3) + bytes(23), r"truncated: 23 bytes where \(4, 2, 3\) asks for 24"),
        (header(4, 2, 3) + bytes(25), "continues after its array: 25 bytes"),
        (header(2**32 - 1, 2, 3) + bytes(24), r"shape \(4294967295, 2, 3\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_a_malformed_idx_file_is_refused(content, fault):
    with pytest.raises(DataFileError, match=fault) as caught:
        parse_idx(content, path=FILE, shape=SHAPE)
    assert str(FILE) in str(caught.value)
    assert "--data" in str(caught.value)


def flip(content: bytes, index: int) -> bytes:
    changed = bytearray(content)
    changed[index] ^= 0xFF
    return bytes(changed)


PACKED = gzip.compress(bytes(range(200)), mtime=0)


@pytest.mark.parametrize(
    "packed",
    [PACKED[:10], PACKED[:60], PACKED[:-1], flip(PACKED, 60), flip(PACKED, -5), flip(PACKED, 2), PACKED + b"more"],
    ids=["header only", "half", "last byte", "data", "CRC", "method", "something after it"],
)
def test_a_broken_gzip_stream_is_refused(packed, tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(packed)
    with pytest.raises(DataFileError, match="truncated or corrupt"):
        read_content(path, limit=200)


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_content_is_read_up_to_its_limit_and_refused_beyond(pack, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pack(bytes(200)))
    assert read_content(path, limit=200) == bytes(200)
    with pytest.raises(DataFileError, match="more than the 199 bytes"):
        read_content(path, limit=199)


def test_a_decompression_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(10_000_000)))
    asked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: asked.append(size) or read(self, size))
    with pytest.raises(DataFileError, match="more than the 1,000 bytes"):
        read_content(path, limit=1000)
    assert asked == [1001]


@pytest.mark.parametrize("subfolder", ["", "mnist", "MNIST/raw"])
def test_mnist_is_found_in_the_folder_and_its_usual_subfolders(subfolder, small_mnist, tmp_path):
    written = small_mnist(tmp_path / subfolder)
    assert LAYOUT.find(tmp_path) == written


def test_mnist_is_read_the_same_uncompressed(small_mnist, tmp_path):
    packed = small_mnist(tmp_path / "packed")
    (tmp_path / "plain").mkdir()
    for name, path in packed.items():
        (tmp_path / "plain" / name).write_bytes(gzip.decompress(path.read_bytes()))
    with pytest.warns(DataChecksumWarning):
        one, other = load_mnist(tmp_path / "packed"), load_mnist(tmp_path / "plain")
    assert one.checksum == other.checksum
    assert torch.equal(one.train.images, other.train.images)
    assert torch.equal(one.test.labels, other.test.labels)


def test_missing_files_are_named_with_the_folders_looked_at(small_mnist, tmp_path):
    small_mnist(tmp_path / "mnist")["t10k-labels-idx1-ubyte"].unlink()
    with pytest.raises(MissingDataError) as caught:
        LAYOUT.find(tmp_path)
    message = str(caught.value)
    assert f"{tmp_path / 'mnist'} lacks t10k-labels-idx1-ubyte\n" in message
    assert f"{tmp_path / 'MNIST/raw'} is not a folder" in message
    for wanted in ("`data_dir`", "--data DIR", *(file.name for file in FILES)):
        assert wanted in message


def test_files_of_two_folders_are_not_mixed(small_mnist, tmp_path):
    small_mnist(tmp_path)["t10k-labels-idx1-ubyte"].unlink()
    small_mnist(tmp_path / "mnist")["train-images-idx3-ubyte"].unlink()
    with pytest.raises(MissingDataError):
        LAYOUT.find(tmp_path)


def test_the_environment_variable_names_the_folder_and_the_argument_goes_before_it(small_mnist, tmp_path, monkeypatch):
    here, there = small_mnist(tmp_path / "here"), small_mnist(tmp_path / "there")
    monkeypatch.setenv("ODERNN_DATA", str(tmp_path / "there"))
    assert locate_mnist(None) == there
    assert locate_mnist(tmp_path / "here") == here
    monkeypatch.setenv("ODERNN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(MissingDataError, match="environment variable ODERNN_DATA"):
        locate_mnist(None)


def replace_array(paths: dict[str, Path], name: str, content: bytes) -> None:
    paths[name].write_bytes(gzip.compress(content))


def test_images_and_labels_that_do_not_agree_are_refused(small_mnist, idx_bytes, tmp_path):
    paths = small_mnist(tmp_path)
    replace_array(paths, "train-labels-idx1-ubyte", idx_bytes(torch.zeros(299, dtype=torch.uint8)))
    with pytest.raises(DataFileError, match=r"train-labels-idx1-ubyte\.gz: it holds 299 labels for 300 images"):
        load_mnist(tmp_path)


def test_a_label_beyond_nine_is_refused(small_mnist, idx_bytes, tmp_path):
    paths = small_mnist(tmp_path)
    replace_array(paths, "t10k-labels-idx1-ubyte", idx_bytes(torch.arange(40, dtype=torch.uint8)))
    with pytest.raises(DataFileError, match="labels go up to 39, 0 to 9"):
        load_mnist(tmp_path)


def test_other_image_sizes_are_refused(small_mnist, idx_bytes, tmp_path):
    paths = small_mnist(tmp_path)
    replace_array(paths, "t10k-images-idx3-ubyte", idx_bytes(torch.zeros(40, 32, 32, dtype=torch.uint8)))
    with pytest.raises(DataFileError, match=r"shape \(40, 32, 32\), \(10000, 28, 28\)"):
        load_mnist(tmp_path)


def test_a_truncated_file_is_refused(small_mnist, tmp_path):
    path = small_mnist(tmp_path)["train-images-idx3-ubyte"]
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataFileError, match=r"train-images-idx3-ubyte\.gz: its gzip stream is truncated"):
        load_mnist(tmp_path)


def test_sound_files_of_other_content_are_read_marked_and_warned_of_once(small_mnist_dir):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mnist = load_mnist(small_mnist_dir)
    assert [warning.category for warning in caught] == [DataChecksumWarning]
    assert all(file.name in str(caught[0].message) for file in FILES)
    assert set(mnist.checksum) == {file.name for file in FILES}
    assert not any(check["verified"] for check in mnist.checksum.values())
