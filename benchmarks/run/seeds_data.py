"""The data of several seeds: a batch of each at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import lightning as L
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from torch.utils.data import DataLoader

from benchmarks.objectives import Batch
from benchmarks.tasks import Task


class SeedsData(L.LightningDataModule):
    """The tasks of several seeds, which have as many samples each, in the orders of their seeds.

    Args:
        tasks: whose data is read.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = list(tasks)

    def train_dataloader(self) -> CombinedLoader:
        """A list with a training batch of each."""
        return self._together(Task.train_dataloader)

    def val_dataloader(self) -> CombinedLoader:
        """The validation batches, likewise."""
        return self._together(Task.val_dataloader)

    def test_dataloader(self) -> CombinedLoader:
        """The test batches, likewise."""
        return self._together(Task.test_dataloader)

    def _together(self, loader: Callable[[Task], DataLoader[Batch]]) -> CombinedLoader:
        return CombinedLoader([loader(task) for task in self.tasks], "min_size")
