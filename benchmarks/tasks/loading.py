"""How samples are put into batches, in an order that is a function of (seed, epoch) only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from benchmarks.data.random_splits import epoch_order
from benchmarks.objectives import Batch
from benchmarks.tasks.samples import Draw, Samples


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process takes, of several that train together: every `count`-th sample from `rank`.

    Attributes:
        rank: of the process, from 0.
        count: of the processes.
    """

    rank: int = 0
    count: int = 1

    def size(self, whole: int) -> int:
        """How many of `whole` samples the process takes."""
        return len(range(self.rank, whole, self.count))


class EpochOrder(Sampler[Draw]):
    """The training order: all `count` samples once, in another random order each epoch, the same for the same epoch.

    What is not `shuffled` comes as it stands in every epoch.

    Lightning calls `set_epoch` at the start of each training epoch, also of the first one after a resume. So a run
    that was killed and continues sees the samples as one that never stopped. Each index comes with its epoch, so that
    samples with something random in them draw it for that epoch. Of several processes each takes its share.
    """

    def __init__(self, count: int, seed: int, share: Share, *, shuffled: bool = True) -> None:
        self.count = count
        self.shuffled = shuffled
        self.seed = seed
        self.share = share
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.share.size(self.count)

    def __iter__(self) -> Iterator[Draw]:
        # A generator, so that the epoch is read at the first sample: Lightning makes the iterator before it calls
        # `set_epoch` when it starts and when it resumes.
        epoch = self.epoch
        order = epoch_order(self.count, self.seed, epoch).tolist() if self.shuffled else range(self.count)
        for row in order[self.share.rank :: self.share.count]:
            yield Draw(row, epoch)


def training_loader(
    samples: Samples, batch_size: int, seed: int, share: Share, *, shuffled: bool = True
) -> DataLoader[Batch]:
    """A share of each of the batches in the order of the epoch; the last one holds what is left."""
    return _loader(samples, batch_size // share.count, EpochOrder(len(samples), seed, share, shuffled=shuffled))


def evaluation_loader(samples: Samples, batch_size: int, share: Share) -> DataLoader[Batch]:
    """Batches in the order of `samples`: a share of them all."""
    return _loader(samples, batch_size, range(share.rank, len(samples), share.count))


def _loader(samples: Samples, batch_size: int, order: Sampler[Draw] | range) -> DataLoader[Batch]:
    # Without a generator of its own a loader draws from torch's global one at each epoch, and a resumed run would
    # find that in another state than a run that never stopped.
    own = torch.Generator()
    return DataLoader(samples, batch_size, sampler=order, collate_fn=_as_it_is, generator=own, num_workers=0)


def _as_it_is(batch: Any) -> Batch:
    # `Samples.__getitems__` has made a whole batch already; torch types what it gives as a list of samples.
    return batch
