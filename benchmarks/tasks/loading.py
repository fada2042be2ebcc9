"""How samples are put into batches: sizes, and an order that is a function of (seed, epoch) alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from benchmarks.data.random_splits import epoch_order
from benchmarks.tasks.checks import checked_count, checked_seed
from benchmarks.tasks.sequences import Batch, PixelSequences


class EpochOrder(Sampler[int]):
    """The training order: all `count` samples once, shuffled anew each epoch, the same again for the same epoch.

    Lightning calls `set_epoch` at the start of each training epoch, also of the first one after a resume. So a run
    that was killed and goes on sees the samples as one that never stopped.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        # A generator, so that the epoch is read at the first sample: Lightning makes the iterator before it calls
        # `set_epoch` when it starts and when it resumes.
        yield from epoch_order(self.count, self.seed, self.epoch).tolist()


@dataclass(frozen=True)
class Loading:
    """Batch sizes and the seed of the training order, checked.

    Attributes:
        batch_size: samples a training batch; the last batch of an epoch holds what is left.
        eval_batch_size: samples a batch of validation and test.
        seed: of the training order, and of nothing else.

    Raises:
        ValueError, TypeError: a size is no whole number of at least 1, the seed none from 0 to 2^32 - 1.
    """

    batch_size: int
    eval_batch_size: int
    seed: int

    def __post_init__(self) -> None:
        checked_count("batch_size", self.batch_size)
        checked_count("eval_batch_size", self.eval_batch_size)
        checked_seed("seed", self.seed)

    def train(self, samples: PixelSequences) -> DataLoader[Batch]:
        """Batches in the order of the epoch."""
        return _loader(samples, self.batch_size, EpochOrder(len(samples), self.seed))

    def evaluation(self, samples: PixelSequences) -> DataLoader[Batch]:
        """Batches in the order of `samples`, all of them."""
        return _loader(samples, self.eval_batch_size, range(len(samples)))


def _loader(samples: PixelSequences, batch_size: int, order: Sampler[int] | range) -> DataLoader[Batch]:
    # Without a generator of its own a loader draws from torch's global one at each epoch, and a resumed run would
    # find that in another state than a run that never stopped.
    own = torch.Generator()
    return DataLoader(samples, batch_size, sampler=order, collate_fn=_as_it_is, generator=own, num_workers=0)


def _as_it_is(batch: Any) -> Batch:
    # `PixelSequences.__getitems__` has made a whole batch already; torch types what it gives as a list of samples.
    return batch
