"""The parts of each task: sizes, disjoint, in proportion where that is promised, and always the same."""

from pathlib import Path

import pytest
import torch

from benchmarks.data import DataChecksumWarning
from benchmarks.data.digits import load_digits
from benchmarks.data.mnist import load_mnist
from benchmarks.data.random_splits import hold_out, hold_out_stratified, permutation
from benchmarks.tasks import PixelDigits, PixelMNIST
from tests.benchmarks.image_parts import ImageParts, image_parts

SIZES = [1, 5, 199, 999]


def digits_splits(val_size: int, split_seed: int) -> ImageParts:
    return image_parts(PixelDigits(val_size=val_size, split_seed=split_seed).read())


def mnist_splits(data_dir: Path, val_size: int, split_seed: int) -> ImageParts:
    return image_parts(PixelMNIST(data_dir=data_dir, val_size=val_size, split_seed=split_seed).read())


@pytest.mark.parametrize("size", SIZES)
def test_holding_out_gives_two_disjoint_parts_that_are_all(size):
    labels = torch.arange(1000) ** 2 % 10
    for kept, held in (hold_out(1000, size, seed=1), hold_out_stratified(labels, size, seed=1)):
        assert len(held) == size
        assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(1000))


@pytest.mark.parametrize("size", SIZES)
def test_a_stratified_draw_takes_each_class_in_proportion(size):
    labels = torch.arange(1000) ** 2 % 10  # squares end in six of the ten digits, in unequal shares
    _, held = hold_out_stratified(labels, size, seed=2)
    share = labels.bincount() * size / 1000
    assert ((labels[held].bincount(minlength=10) - share).abs() < 1).all()


def test_draws_follow_their_seed():
    labels = torch.arange(1000) % 10
    for draw in (lambda seed: hold_out(1000, 50, seed)[1], lambda seed: hold_out_stratified(labels, 50, seed)[1]):
        assert torch.equal(draw(1), draw(1))
        assert not torch.equal(draw(1), draw(2))


def test_draws_are_the_same_on_every_machine():
    # Written down from torch 2.13 on Linux: other values would make finished runs incomparable to new ones.
    assert permutation(784, seed=0)[:6].tolist() == [60, 361, 167, 578, 107, 772]
    assert permutation(64, seed=0)[:6].tolist() == [44, 46, 17, 3, 47, 21]
    assert hold_out(60_000, 5000, seed=0)[1][:6].tolist() == [1, 3, 47, 49, 80, 83]
    assert hold_out_stratified(load_digits().labels, 300, seed=0)[1][:6].tolist() == [2, 3, 4, 7, 21, 31]


def test_digits_are_split_in_proportion_and_disjoint():
    splits = digits_splits(val_size=200, split_seed=0)
    parts = (splits.train, splits.val, splits.test)
    assert [len(part) for part in parts] == [1297, 200, 300]
    everything = load_digits()
    counts = everything.labels.bincount()
    for part in parts:
        share = counts * len(part) / 1797
        # Validation is drawn in proportion from what the test part left, itself in proportion to within one image.
        assert ((part.labels.bincount() - share).abs() < 2).all()
    together = torch.cat([part.pixels for part in parts]).squeeze(-1)
    assert torch.equal(sorted_rows(together), sorted_rows(everything.pixels)), "each image is in one part"


def sorted_rows(pixels):
    rows, counts = pixels.unique(dim=0, return_counts=True)
    return torch.cat([rows, counts.unsqueeze(1)], dim=1)


def test_the_digits_for_test_are_the_same_for_every_split_seed():
    one, other = digits_splits(200, split_seed=0), digits_splits(200, split_seed=1)
    assert torch.equal(one.test.pixels, other.test.pixels)
    assert not torch.equal(one.val.pixels, other.val.pixels)


def test_digits_are_standardised_by_their_training_part():
    splits = digits_splits(200, split_seed=0)
    x, _, _ = splits.train.__getitems__(range(len(splits.train)))
    # A mean of 83,008 numbers of size one in float32.
    torch.testing.assert_close(x.mean(), torch.tensor(0.0), rtol=0, atol=1e-5)
    torch.testing.assert_close(x.std(correction=0), torch.tensor(1.0), rtol=0, atol=1e-5)
    assert splits.val.scale == splits.test.scale == splits.train.scale
    assert digits_splits(900, split_seed=0).train.scale != splits.train.scale


def test_a_digit_is_read_from_the_top_left_along_its_rows():
    # sklearn's first image, a zero: its first two rows as published.
    first = load_digits().pixels[0]
    assert first[:16].tolist() == [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
    assert load_digits().labels[0] == 0


def test_small_mnist_is_split_as_asked(small_mnist_dir):
    with pytest.warns(DataChecksumWarning):
        splits = mnist_splits(small_mnist_dir, val_size=50, split_seed=1)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [250, 50, 40]
    # Random images of 784 bytes: all different.
    assert len(torch.cat([splits.train.pixels, splits.val.pixels]).squeeze(-1).unique(dim=0)) == 300


def test_an_mnist_image_is_read_from_the_top_left_along_its_rows_and_standardised(small_mnist_dir):
    with pytest.warns(DataChecksumWarning):
        splits = mnist_splits(small_mnist_dir, val_size=50, split_seed=1)
    with pytest.warns(DataChecksumWarning):
        image = load_mnist(small_mnist_dir).test.images[7]
    assert torch.equal(splits.test.pixels[7].squeeze(-1), torch.cat([*image]))
    x, _, _ = splits.test[7]
    assert torch.equal(x, (torch.cat([*image]).unsqueeze(-1) / 255 - 0.1307) / 0.3081)


def test_a_mismatch_is_warned_of_once_a_task(small_mnist_dir, recwarn):
    task = PixelMNIST(data_dir=small_mnist_dir, val_size=50)
    for stage in ("fit", "validate", "test"):
        task.prepare_data()
        task.setup(stage)
    assert [warning.category for warning in recwarn] == [DataChecksumWarning]
