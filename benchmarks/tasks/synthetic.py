"""What the tasks without data files have in common: samples drawn from a seed, each by itself."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.random_splits import random_numbers
from benchmarks.objectives import Batch
from benchmarks.tasks.arguments import count, seed
from benchmarks.tasks.samples import Part, Samples, Splits
from benchmarks.tasks.task import Task

PARTS: tuple[Part, ...] = ("train", "val", "test")


class DrawnSamples(Samples):
    """Samples that are drawn when they are asked for.

    Args:
        task: draws a sample from a generator.
        count: how many there are.
        key: with epoch and row, what a sample is a function of.
    """

    def __init__(self, task: SyntheticTask, count: int, key: tuple[int, ...]) -> None:
        self.task = task
        self.count = count
        self.key = key

    def __len__(self) -> int:
        return self.count

    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        drawn = [self.task.draw(random_numbers(*self.key, epoch, row)) for row in rows.tolist()]
        x, target = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        mask = self.task.mask
        return Batch(x, target, None if mask is None else mask.expand(len(x), -1))


@dataclass(kw_only=True, eq=False)
class SyntheticTask(Task):
    """Samples drawn at random. Abstract.

    In training every epoch has fresh samples, a function of `data_seed`, `seed`, epoch and sample; those of validation
    and test are always the same, a function of `data_seed` and sample.

    Args:
        train_size: samples an epoch.
        val_size: samples for validation.
        test_size: samples for test.
        data_seed: of all samples. Results are comparable only where it is the same.
    """

    train_size: int = count(10_000)
    val_size: int = count(1000)
    test_size: int = count(10_000)
    data_seed: int = seed()

    @property
    def mask(self) -> Tensor | None:
        """Which steps count in every sample; None for a task that is read at the end."""
        return None

    @abc.abstractmethod
    def draw(self, numbers: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One sample and its target."""

    def read(self) -> Splits:
        """The three parts. Nothing is read, and nothing drawn before it is asked for."""
        sizes = (self.train_size, self.val_size, self.test_size)
        train, val, test = (
            DrawnSamples(self, size, (self.data_seed, PARTS.index(part) + 1, self.seed if part == "train" else 0))
            for part, size in zip(PARTS, sizes, strict=True)
        )
        return Splits(train, val, test, {})
