"""What the tasks have in common: images read one pixel a step, and classified at the end."""

import abc
from typing import ClassVar

import lightning as L
from torch.utils.data import DataLoader

from benchmarks.data.checksum import ContentCheck
from benchmarks.tasks.loading import Loading
from benchmarks.tasks.sequences import Batch, Splits


class PixelTask(L.LightningDataModule, abc.ABC):
    """Abstract. A final class sets the four names below and `loading`, and reads its data in `read`.

    Batches are `(x, label)`: x Float[Tensor, "batch time input"], standardised; label Int64[Tensor, "batch"].
    Training batches come in an order that `loading.seed` and the epoch decide, the others in a fixed one; nothing is
    dropped from any part. One process per run: with more than one device Lightning puts its own sampler in place.

    Attributes:
        name: the task's name in `TASKS`.
        input_size: numbers a step.
        num_classes: labels are 0 to `num_classes` - 1.
        length: steps T.
        loading: batch sizes and the seed of the training order.
    """

    name: ClassVar[str]  # pyright: ignore[reportIncompatibleVariableOverride] - Lightning's may be set and None
    input_size: ClassVar[int]
    num_classes: ClassVar[int]
    length: ClassVar[int]
    loading: Loading

    _splits: Splits | None = None

    @abc.abstractmethod
    def read(self) -> Splits:
        """The three parts, read and checked."""

    def setup(self, stage: str | None = None) -> None:
        """Reads the data, once for all stages."""
        if self._splits is None:
            self._splits = self.read()

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

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of the training part."""
        return self.loading.train(self.splits.train)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of the validation part."""
        return self.loading.evaluation(self.splits.val)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the test part."""
        return self.loading.evaluation(self.splits.test)
