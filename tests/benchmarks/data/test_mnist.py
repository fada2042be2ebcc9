"""Facts of the real MNIST, through the tasks that read it."""

import gzip
from pathlib import Path

import pytest
import torch

from benchmarks.data.mnist import FILES, LAYOUT, load_mnist
from benchmarks.tasks import PixelMNIST

pytestmark = pytest.mark.real_data

TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture(scope="module")
def smnist(mnist_dir):
    return made(mnist_dir)


def made(data_dir: Path, permutation_seed: int | None = None):
    task = PixelMNIST(data_dir=data_dir, permutation_seed=permutation_seed)
    task.prepare_data()
    task.setup()
    return task


def test_the_content_is_the_published_one(smnist):
    assert set(smnist.data_checksum) == {file.name for file in FILES}
    assert all(check["verified"] for check in smnist.data_checksum.values())


def test_the_parts_have_the_published_counts(smnist):
    train, val, test = smnist.splits.train, smnist.splits.val, smnist.splits.test
    assert [len(train), len(val), len(test)] == [55_000, 5_000, 10_000]
    assert (train.labels.bincount() + val.labels.bincount()).tolist() == TRAIN_COUNTS
    assert test.labels.bincount().tolist() == TEST_COUNTS


def test_training_and_validation_are_disjoint_and_all_of_the_training_images(smnist, mnist_dir):
    both = torch.cat([smnist.splits.train.pixels, smnist.splits.val.pixels]).squeeze(-1)
    # A fixed random number for each pixel makes equal sums of different images all but impossible.
    mark = torch.rand(784, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = load_mnist(mnist_dir).train.images.flatten(1)
    marks, wanted = both.double() @ mark, whole.double() @ mark
    assert len(wanted.unique()) == 60_000, "no image is there twice, so counts tell parts apart"
    torch.testing.assert_close(marks.sort().values, wanted.sort().values, rtol=1e-12, atol=0)


def test_pixels_are_standardised_by_the_customary_mean_and_deviation(smnist, mnist_dir):
    pixels = load_mnist(mnist_dir).train.images.double() / 255
    # The constants have four digits.
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)
    x, _, _ = next(iter(smnist.test_dataloader()))
    raw = smnist.splits.test.pixels[: len(x)].squeeze(-1).float() / 255
    assert torch.equal(x.squeeze(-1), (raw - 0.1307) / 0.3081)


def test_an_image_is_read_from_the_top_left_along_its_rows(smnist, mnist_dir):
    packed = LAYOUT.find(mnist_dir)["t10k-images-idx3-ubyte"]
    content = gzip.decompress(packed.read_bytes()) if packed.suffix == ".gz" else packed.read_bytes()
    third = content[16 + 3 * 784 : 16 + 4 * 784]
    assert bytes(smnist.splits.test.pixels[3].flatten().tolist()) == third
    assert bytes(smnist.splits.test.pixels[3, 28 * 10 : 28 * 11].flatten().tolist()) == third[280:308]


def test_the_permuted_task_has_the_same_samples_in_one_order(smnist, mnist_dir):
    permuted = made(mnist_dir, permutation_seed=0)
    order = torch.randperm(784, generator=torch.Generator().manual_seed(0))
    for part in ("train", "val", "test"):
        one, other = getattr(smnist.splits, part), getattr(permuted.splits, part)
        assert torch.equal(other.pixels, one.pixels[:, order])
        assert torch.equal(other.labels, one.labels)
