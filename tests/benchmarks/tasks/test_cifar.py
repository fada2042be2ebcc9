"""CIFAR-10's binary files and the tasks on them: a step reads what the paper says; what is unsound is refused."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from benchmarks.data import DataChecksumWarning, DataFileError, MissingDataError, cifar10
from benchmarks.data.cifar10 import FILES, JPEG_SHA256, RECORD, data_variants, load_cifar10, parse_records
from benchmarks.tasks import NoisePaddedCIFAR, PixelCIFAR, Task
from tests.benchmarks.image_parts import image_parts

CIFARTask = TypeVar("CIFARTask", PixelCIFAR, NoisePaddedCIFAR)
MEAN, STD = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])


def made(kind: type[CIFARTask], folder: Path, **arguments) -> CIFARTask:
    task = kind(data_dir=folder, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataChecksumWarning)
        task.setup()
    return task


def rebuilt(task: Task, rows: Sequence[int]) -> torch.Tensor:
    """Images of the test part, made of their sequences."""
    images = task.rebuild(task.splits.test.__getitems__(rows).x)
    assert images is not None
    return images


def record(folder: Path, number: int) -> tuple[int, torch.Tensor]:
    """Label and bytes of an image of the test file, read without any of the product's code."""
    content = cifar10.LAYOUT.find(folder)["test_batch.bin"].read_bytes()
    one = content[number * 3073 : (number + 1) * 3073]
    return one[0], torch.frombuffer(bytearray(one[1:]), dtype=torch.uint8)


def assert_a_pixel_is_a_step(folder: Path) -> None:
    task = made(PixelCIFAR, folder, val_size=50)
    for number in (0, 7, 31):
        label, planes = record(folder, number)
        x, target, _ = task.splits.test[number]
        assert target.item() == label
        for row, column in ((0, 0), (0, 1), (0, 31), (1, 0), (17, 5), (31, 31)):
            step = 32 * row + column  # scanline from the top left
            colours = torch.stack([planes[1024 * channel + 32 * row + column] for channel in range(3)])
            # Float32 rounding of the same formula.
            torch.testing.assert_close(x[step], (colours / 255 - MEAN) / STD, rtol=1e-6, atol=1e-6)


def assert_a_row_is_a_step(folder: Path) -> None:
    task = made(NoisePaddedCIFAR, folder, val_size=50)
    for number in (0, 7, 31):
        label, planes = record(folder, number)
        x, target, _ = task.splits.test[number]
        assert target.item() == label
        assert x.shape == (1000, 96)
        for row in (0, 5, 31):
            for column in (0, 1, 31):
                colours = torch.stack([planes[1024 * channel + 32 * row + column] for channel in range(3)])
                # As above.
                there = x[row, 3 * column : 3 * column + 3]
                torch.testing.assert_close(there, (colours / 255 - MEAN) / STD, rtol=1e-6, atol=1e-6)


def test_a_step_reads_the_three_channels_of_one_pixel(small_cifar_dir):
    assert_a_pixel_is_a_step(small_cifar_dir)


def test_a_step_reads_a_row_of_the_image(small_cifar_dir):
    assert_a_row_is_a_step(small_cifar_dir)


@pytest.mark.real_data
def test_real_images_are_read_the_same(cifar_dir):
    assert_a_pixel_is_a_step(cifar_dir)
    assert_a_row_is_a_step(cifar_dir)


@pytest.mark.real_data
def test_the_real_files_have_the_published_facts(cifar_dir):
    task = made(PixelCIFAR, cifar_dir)
    train, val, test, _ = image_parts(task.splits)
    assert [len(train), len(val), len(test)] == [45_000, 5_000, 10_000]
    assert (train.labels.bincount() + val.labels.bincount()).tolist() == [5_000] * 10
    assert test.labels.bincount().tolist() == [1_000] * 10
    for channel in range(3):
        levels = torch.cat([part.pixels[..., channel].flatten() for part in (train, val)])
        counts = levels.bincount(minlength=256).double()
        share, level = counts / counts.sum(), torch.arange(256) / 255
        mean = (share * level).sum()
        # The customary constants have four digits, and a copy that went through JPEG differs in the fourth.
        assert mean.item() == pytest.approx(MEAN[channel].item(), abs=3e-4)
        assert (share * (level - mean) ** 2).sum().sqrt().item() == pytest.approx(STD[channel].item(), abs=3e-3)
    assert task.variants in ((), ("CIFAR-10 (JPEG)",))
    assert all(check["verified"] for check in task.data_checksum.values()) == (task.variants == ())


@pytest.mark.real_data
def test_neighbouring_pixels_of_real_images_are_alike(cifar_dir):
    # With channel-first bytes read as if they were channel-last, or rows as columns, they are not.
    images = rebuilt(made(PixelCIFAR, cifar_dir), range(200))
    across, down = (images.diff(dim=dim).abs().mean() for dim in (2, 1))
    assert max(across, down) < 0.08  # unrelated pixels differ by 0.28 on the average
    assert images.diff(dim=3).abs().mean() < 0.08  # photographs are nearly grey


@pytest.mark.parametrize("kind", [PixelCIFAR, NoisePaddedCIFAR])
def test_images_are_rebuilt_from_their_sequences(kind, small_cifar_dir):
    task = made(kind, small_cifar_dir, val_size=50)
    (image,) = rebuilt(task, [3])
    _, planes = record(small_cifar_dir, 3)
    # Standardised and back, in float32.
    torch.testing.assert_close(image, planes.reshape(3, 32, 32).permute(1, 2, 0) / 255, rtol=0, atol=1e-6)


def test_other_content_is_named_in_every_result(small_cifar_dir):
    assert made(PixelCIFAR, small_cifar_dir, val_size=50).variants == ("not the published CIFAR-10",)
    both = made(NoisePaddedCIFAR, small_cifar_dir, val_size=50, fixed_noise=True).variants
    assert both == ("not the published CIFAR-10", "one fixed noise block")


def test_the_copy_that_went_through_jpeg_is_known_by_its_checksums():
    jpeg = {file.name: {"sha256": sha256, "verified": False} for file, sha256 in zip(FILES, JPEG_SHA256, strict=True)}
    assert data_variants(jpeg) == ("CIFAR-10 (JPEG)",)
    official = {file.name: {"sha256": file.sha256, "verified": True} for file in FILES}
    assert data_variants(official) == ()
    assert data_variants(official | {"test_batch.bin": jpeg["test_batch.bin"]}) == ("not the published CIFAR-10",)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "0 bytes are not whole records of 3,073"),
        (bytes(RECORD - 1), "3,072 bytes are not whole records"),
        (bytes(RECORD + 1), "truncated or no CIFAR-10 file"),
        (b"<html>log in</html>", "19 bytes are not whole records"),
        (bytes([10]) + bytes(RECORD - 1), "its labels go up to 10, 0 to 9 were wanted"),
    ],
)
def test_a_malformed_file_is_refused(content, fault):
    with pytest.raises(DataFileError, match=fault) as caught:
        parse_records(content, path=Path("data_batch_1.bin"))
    assert "data_batch_1.bin" in str(caught.value)
    assert "--data" in str(caught.value)


def test_a_file_that_is_too_long_is_refused(small_cifar, tmp_path):
    small_cifar(tmp_path)["data_batch_3.bin"].write_bytes(bytes(RECORD * 10_001))
    with pytest.raises(DataFileError, match=r"data_batch_3.bin: it holds more than the 30,730,000 bytes"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize("subfolder", ["", "cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"])
def test_the_files_are_found_in_the_folder_and_its_usual_subfolders(subfolder, small_cifar, tmp_path):
    written = small_cifar(tmp_path / subfolder)
    assert cifar10.locate_cifar10(tmp_path) == written


def test_a_missing_file_is_named(small_cifar, tmp_path):
    small_cifar(tmp_path / "cifar10")["data_batch_4.bin"].unlink()
    with pytest.raises(MissingDataError) as caught:
        cifar10.locate_cifar10(tmp_path)
    assert f"{tmp_path / 'cifar10'} lacks data_batch_4.bin\n" in str(caught.value)
    assert "CIFAR-10 is not in the folder" in str(caught.value)


def test_too_many_images_for_validation_are_refused(small_cifar_dir):
    with pytest.raises(ValueError, match="`val_size` is 300; give a whole number from 1 to 299"):
        made(PixelCIFAR, small_cifar_dir, val_size=300)
