"""The contract of a task, and the arguments that all tasks have."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import ClassVar

import lightning as L
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.data.checksum import ContentCheck
from benchmarks.objectives import Batch, Objective
from benchmarks.tasks.arguments import check_arguments, count, optional_count, seed
from benchmarks.tasks.loading import Share, evaluation_loader, training_loader
from benchmarks.tasks.samples import Splits


@dataclass(kw_only=True, eq=False)
class Task(L.LightningDataModule, abc.ABC):
    """Data with an objective. Abstract.

    A final class is a dataclass too: it adds its own arguments as fields, each with its check (`tasks.arguments`), and
    says `name`, `length`, `input_size`, `objective`, and how its parts are read. Training batches come in an order that
    `seed` and the epoch decide, the others in a fixed one; nothing is dropped from any part.

    Args:
        batch_size: samples a training batch; the last one of an epoch holds what is left.
        eval_batch_size: samples a batch of validation and test.
        seed: of the training order and of what else is random in training; a run's own seed.
        limit: use only so many samples of each part, for a quick look; results say so. None for all.

    Attributes:
        input_size: numbers a step.
        objective: what is learned of the samples.
        carries_state: whether the samples are chunks of long sequences, each batch continuing the one before; as a rule
            every sample stands by itself.

    Raises:
        TypeError, ValueError: an argument of a wrong type or out of range.
    """

    batch_size: int = count(128)
    eval_batch_size: int = count(1000)
    seed: int = seed()
    limit: int | None = optional_count()

    input_size: ClassVar[int]
    objective: ClassVar[Objective]
    carries_state: ClassVar[bool] = False
    _splits: Splits | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__init__()
        check_arguments(self)

    @property
    @abc.abstractmethod
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] - lightning's may be set, and be None
        """The name in `TASKS`. A class that has several says which one its arguments make."""

    @property
    @abc.abstractmethod
    def length(self) -> int:
        """Steps T of every sample."""

    @property
    def own_variants(self) -> tuple[str, ...]:
        """What a task's own settings and data make different from what its name says; none as a rule."""
        return ()

    @property
    def variants(self) -> tuple[str, ...]:
        """What differs from the task as its name says it. Results show it wherever they stand."""
        limited = () if self.limit is None else (f"first {self.limit:,} samples",)
        return (*self.own_variants, *limited)

    def rebuild(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch row column *channel"] | None:
        """The images that sequences were made of, from 0 to 1, so that a person can look; None where there are none."""
        return None

    def spell(self, tokens: Int64[Tensor, "batch time"]) -> list[list[str]] | None:
        """The symbols that tokens stand for, so that a person can read; None where samples are not tokens."""
        return None

    @abc.abstractmethod
    def read(self) -> Splits:
        """The three parts, read or drawn, and checked."""

    def setup(self, stage: str | None = None) -> None:
        """Reads the data, once for all stages."""
        if self._splits is None:
            self._splits = self.read().limited(self.limit)

    @property
    def splits(self) -> Splits:
        """The three parts.

        Raises:
            RuntimeError: before `setup()`.
        """
        if self._splits is None:
            raise RuntimeError(f"the task `{self.name}` has read no data yet; call its `setup()` first")
        return self._splits

    @property
    def data_checksum(self) -> dict[str, ContentCheck]:
        """By file or data set: the sha256 of the uncompressed content, and whether it is the published one."""
        return self.splits.checksum

    @property
    def share(self) -> Share:
        """What this process takes of every batch, of those that train together."""
        return Share() if self.trainer is None else Share(self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of the training part."""
        train = self.splits.train
        return training_loader(train, self.batch_size, self.seed, self.share, shuffled=not self.carries_state)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of the validation part."""
        return evaluation_loader(self.splits.val, self._eval_share, self.share)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the test part."""
        return evaluation_loader(self.splits.test, self._eval_share, self.share)

    @property
    def _eval_share(self) -> int:
        """What a process takes at once in evaluation; of chunks, as many together as there are sequences."""
        return self.eval_batch_size // (self.share.count if self.carries_state else 1)
