"""The samples of a task, made a batch at a time."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.data.checksum import ContentCheck
from benchmarks.objectives import Batch

Part = Literal["train", "val", "test"]


class Draw(NamedTuple):
    """A sample that is asked for, and in which epoch: what is random about it may differ from epoch to epoch."""

    row: int
    epoch: int


class Samples(Dataset[Batch], abc.ABC):
    """The samples of one part. Abstract.

    A plain index asks for a sample as it is in epoch 0. The training order asks with the epoch.
    """

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        """These samples, as they are in an epoch: a function of the arguments and of nothing else."""

    def __getitem__(self, index: int | Draw) -> Batch:
        """One sample, without the batch's dimension."""
        x, target, mask = self.__getitems__([index])
        return Batch(x[0], target[0], None if mask is None else mask[0])

    def __getitems__(self, indices: Sequence[int | Draw]) -> Batch:
        """A whole batch at once, all of one epoch: torch's loader asks for it by this name."""
        draws = [index if isinstance(index, Draw) else Draw(index, 0) for index in indices]
        return self.batch(torch.tensor([draw.row for draw in draws], dtype=torch.int64), draws[0].epoch)


@final
class FirstSamples(Samples):
    """The first `count` of some samples, or all if there are fewer."""

    def __init__(self, samples: Samples, count: int) -> None:
        self.samples = samples
        self.count = min(count, len(samples))

    def __len__(self) -> int:
        return self.count

    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        return self.samples.batch(rows, epoch)


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts of a task, disjoint, and the checksum of the data they were made from."""

    train: Samples
    val: Samples
    test: Samples
    checksum: dict[str, ContentCheck]

    def limited(self, count: int | None) -> Splits:
        """The first `count` samples of each part; all for None."""
        if count is None:
            return self
        train, val, test = (FirstSamples(part, count) for part in (self.train, self.val, self.test))
        return Splits(train, val, test, self.checksum)
