"""The digits tasks: scikit-learn's 8 x 8 handwritten digits, one pixel a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.data.digits import load_digits
from benchmarks.data.random_splits import hold_out_stratified, permutation
from benchmarks.objectives import Classification, Objective
from benchmarks.tasks.arguments import count, optional_seed, seed
from benchmarks.tasks.images import ImageSequences, Scale
from benchmarks.tasks.samples import Splits
from benchmarks.tasks.task import Task

TEST_SIZE = 300
# The published data have no test part of their own. Ours is the same whatever the task's seeds are, so that no choice
# of `split_seed` shows a model what it will be tested on.
TEST_SEED = 0
MAXIMUM = 16.0


@final
@dataclass(kw_only=True, eq=False)
class PixelDigits(Task):
    """The 1,797 digits, T = 64: 1,297 for training, 200 for validation, 300 for test, classes in proportion.

    The data come with scikit-learn; they are real, small, and need no download. Without a `permutation_seed` it is
    `digits`, scanline from the top left; with one it is `digits-permuted`, all images in one random order of the
    pixels: `torch.randperm(64)` from a generator on the CPU with that seed, step t reading pixel order[t]. Pixels are
    standardised with the mean and standard deviation of the training part.

    Args:
        val_size: images held out for validation, taken from training; the 300 for test are always the same.
        split_seed: of that draw. Results are comparable only where it is the same.
        permutation_seed: of the order of the pixels; None for the scanline. Results are comparable only where it is
            the same.

    Raises:
        TypeError, ValueError: an argument of a wrong type or out of range.
    """

    val_size: int = count(200, most=1797 - TEST_SIZE - 1)
    split_seed: int = seed()
    permutation_seed: int | None = optional_seed()

    _scale: Scale = field(init=False, repr=False)

    input_size: ClassVar[int] = 1
    objective: ClassVar[Objective] = Classification(10)

    @property
    def name(self) -> str:
        return "digits" if self.permutation_seed is None else "digits-permuted"

    @property
    def length(self) -> int:
        return 8 * 8

    @property
    def order(self) -> Int64[Tensor, "time"]:
        """Step t reads pixel order[t] of the scanline."""
        if self.permutation_seed is None:
            return torch.arange(self.length)
        return permutation(self.length, self.permutation_seed)

    def rebuild(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch row column"]:
        scanline = torch.empty_like(x)
        scanline[:, self.order] = x
        return rearrange(self._scale.undo(scanline), "n (row column) 1 -> n row column", row=8)

    def read(self) -> Splits:
        """The three parts."""
        digits = load_digits()
        rest, test = hold_out_stratified(digits.labels, TEST_SIZE, TEST_SEED)
        kept, held = hold_out_stratified(digits.labels[rest], self.val_size, self.split_seed)
        pixels = digits.pixels.unsqueeze(-1)
        self._scale = Scale.of(pixels[rest[kept]], MAXIMUM)
        pixels = pixels[:, self.order]
        train, val, test = (
            ImageSequences(pixels[rows], digits.labels[rows], self._scale) for rows in (rest[kept], rest[held], test)
        )
        return Splits(train, val, test, digits.checksum)
