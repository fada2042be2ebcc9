"""Where the samples of each sequence lie in a storage, whatever its layout: padded, masked, packed or nested."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from solvers.checks import is_traced


@dataclass(frozen=True)
class Rows:
    """A batch of sequences of several lengths, as places in a storage (places, features).

    Attributes:
        places: of the n-th sample of each sequence; beyond a sequence's length that of its last sample.
        times: its number before samples were left out, likewise.
        lengths: samples of each sequence; a tensor while torch traces, which has no values then.
        resets: whether the state starts afresh before a sample, or None if it never does.
    """

    places: Int[Tensor, "time batch"]
    times: Int[Tensor, "time batch"]
    lengths: list[int] | Int[Tensor, " batch"]
    resets: Bool[Tensor, "time batch"] | None = None

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return self.places.shape[1]

    def inside(self, first: int = 0) -> Bool[Tensor, "time batch"]:
        """Where there is a sample, from the sample `first` on."""
        numbers = self._numbers()
        return (numbers >= first) & (numbers < self._lengths())

    def with_resets(self, resets: Bool[Tensor, "time batch"]) -> Rows:
        """With the resets before samples of the input; one before a sample that is left out counts for the next."""
        so_far = resets.cumsum(0)
        seen = so_far.gather(0, self.times)
        before = torch.cat((seen.new_zeros(1, self.batch), seen[:-1]))
        return replace(self, resets=(seen > before) & self.inside())

    def backward(self) -> Rows:
        """The same sequences from their ends; the break that a reset makes lies between the same two samples."""
        lengths = self._lengths()
        index = (lengths - 1 - self._numbers()).clamp_(min=0)
        resets = self.resets
        if resets is not None:
            after = (lengths - self._numbers()).clamp_(min=0, max=len(self.places) - 1)
            resets = resets.gather(0, after) & self.inside(1)
        return replace(self, places=self.places.gather(0, index), times=self.times.gather(0, index), resets=resets)

    def _numbers(self) -> Int[Tensor, "time 1"]:
        return torch.arange(self.places.shape[0], device=self.places.device).unsqueeze(1)

    def _lengths(self) -> Int[Tensor, " batch"]:
        return torch.as_tensor(self.lengths, device=self.places.device)

    def read(self) -> list[int]:
        """The lengths as numbers."""
        return self.lengths.tolist() if isinstance(self.lengths, Tensor) else self.lengths


def rows_of_lengths(lengths: list[int] | Int[Tensor, " batch"], device: torch.device, longest: int) -> Rows:
    """Of a padded storage (time, batch), the rest of each sequence being padding.

    Args:
        lengths: samples of each sequence, numbers if they can be read.
        device: of the storage.
        longest: samples of the longest sequence, or more, but not zero.
    """
    batch = lengths.shape[0] if isinstance(lengths, Tensor) else len(lengths)
    last = torch.as_tensor(lengths, device=device).clamp(min=1) - 1
    times = torch.minimum(torch.arange(longest, device=device).unsqueeze(1), last)
    return Rows(torch.arange(batch, device=device).add(times, alpha=batch), times, lengths)


def rows_of_mask(mask: Bool[Tensor, "time batch"]) -> Rows:
    """Of a padded storage (time, batch) with samples left out wherever the mask is False."""
    time, batch = mask.shape
    lengths = mask.sum(0) if is_traced(mask) else mask.sum(0).tolist()
    longest = max([1, *lengths]) if isinstance(lengths, list) else time
    order = torch.argsort((~mask).byte(), dim=0, stable=True)
    within = rows_of_lengths(lengths, mask.device, longest).times
    times = order.gather(0, within)
    return Rows(times * batch + torch.arange(batch, device=mask.device), times, lengths)


def rows_of_packed(x: PackedSequence) -> Rows:
    """Of a packed storage, in which the sequences stand in order of length, longest first, sample by sample."""
    sizes, device = x.batch_sizes, x.data.device
    batch = int(sizes[0])
    lengths = (sizes.unsqueeze(1) > torch.arange(batch)).sum(0)
    starts = (sizes.cumsum(0) - sizes).to(device)
    within = rows_of_lengths(lengths.tolist(), device, len(sizes)).times
    places = starts[within] + torch.arange(batch, device=device)
    if x.unsorted_indices is None:
        return Rows(places, within, lengths.tolist())
    order = x.unsorted_indices
    return Rows(places[:, order], within[:, order], lengths[order.cpu()].tolist())


def rows_of_nested(offsets: Int[Tensor, " batch_and_one"]) -> Rows:
    """Of a storage in which one sequence stands after the other."""
    lengths: list[int] = offsets.diff().tolist()
    within = rows_of_lengths(lengths, offsets.device, max([1, *lengths])).times
    return Rows(within + offsets[:-1], within, lengths)
