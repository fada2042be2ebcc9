"""Where the samples of each sequence lie in a storage, whatever its layout: padded, masked, packed or nested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from solvers.checks import is_traced

Numbering = Callable[[Tensor, Tensor], Tensor]
"""(the number of a sample in its sequence, the sequence) -> another number of it; of tensors that broadcast."""


@dataclass(frozen=True)
class Rows:
    """A batch of sequences of several lengths, as places in a storage (places, features).

    Attributes:
        place: of a sample in the storage.
        time: its number before samples were left out.
        lengths: samples of each sequence; a tensor while torch traces, which has no values then.
        longest: samples of the longest sequence, or more, but not zero.
        device: of the storage.
        resets: whether the state starts afresh before a sample, or None if it never does.
        padded: whether `place` knows the rest of each sequence too, to `longest`, and all is the storage.
        in_place: whether the storage begins with the rectangle (longest, batch) in which the sequences begin together.
    """

    place: Numbering
    time: Numbering
    lengths: list[int] | Int[Tensor, " batch"]
    longest: int
    device: torch.device
    resets: Bool[Tensor, "time batch"] | None = None
    padded: bool = False
    in_place: bool = False

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return self.lengths.shape[0] if isinstance(self.lengths, Tensor) else len(self.lengths)

    @property
    def places(self) -> Int[Tensor, "time batch"]:
        """The place of the n-th sample of each sequence; beyond its length that of its last sample."""
        return self.place(*self._samples())

    @property
    def times(self) -> Int[Tensor, "time batch"]:
        """The numbers of these samples before some were left out."""
        return self.time(*self._samples())

    def inside(self, first: int = 0) -> Bool[Tensor, "time batch"]:
        """Where there is a sample, from the sample `first` on."""
        numbers = self._numbers()
        below = numbers < self._lengths()
        return (numbers >= first) & below if first else below

    def with_resets(self, resets: Bool[Tensor, "time batch"]) -> Rows:
        """The rows with resets before samples of the input; one before a sample left out counts for the next."""
        so_far = resets.cumsum(0)
        seen = so_far.gather(0, self.times)
        before = seen.roll(1, 0).masked_fill(self._numbers() == 0, 0)  # of a slice torch asks whether it has one row
        return replace(self, resets=(seen > before) & self.inside())

    def backward(self) -> Rows:
        """The same sequences from their ends; the break that a reset makes lies between the same two samples."""
        lengths = self._lengths()
        last = lengths.clamp(min=1) - 1
        resets = self.resets
        if resets is not None:
            after = (lengths - self._numbers()).clamp_(min=0, max=self.longest - 1)
            resets = resets.gather(0, after) & self.inside(1)

        def turned(number: Tensor, row: Tensor) -> Tensor:
            number, back = torch.broadcast_tensors(number, last[row] - number)
            return torch.where(back < 0, number, back) if self.padded else back

        def from_the_end(forward: Numbering) -> Numbering:
            return lambda number, row: forward(turned(number, row), row)

        place, time = from_the_end(self.place), from_the_end(self.time)
        return replace(self, place=place, time=time, resets=resets, in_place=False)

    def read(self) -> list[int]:
        """The lengths as numbers."""
        return self.lengths.tolist() if isinstance(self.lengths, Tensor) else self.lengths

    def _samples(self) -> tuple[Int[Tensor, "time batch"], Int[Tensor, " batch"]]:
        """The number of every sample, beyond the end of a sequence that of its last one; and the sequences."""
        last = self._lengths().clamp(min=1) - 1
        return torch.minimum(self._numbers(), last), torch.arange(self.batch, device=self.device)

    def _numbers(self) -> Int[Tensor, "time 1"]:
        return torch.arange(self.longest, device=self.device).unsqueeze(1)

    def _lengths(self) -> Int[Tensor, " batch"]:
        return torch.as_tensor(self.lengths, device=self.device)


def rows_of_lengths(lengths: list[int] | Int[Tensor, " batch"], device: torch.device, longest: int) -> Rows:
    """The rows of a padded storage (time, batch), in which the rest of each sequence is padding.

    Args:
        lengths: samples of each sequence, numbers if they can be read.
        device: of the storage.
        longest: samples of the longest sequence, or more, but not zero.
    """
    traced = isinstance(lengths, Tensor)
    batch = lengths.shape[0] if traced else len(lengths)
    return Rows(
        lambda number, row: row.add(number, alpha=batch),
        lambda number, row: number,
        *(lengths, longest, device),
        padded=traced,
        in_place=True,
    )


def rows_of_mask(mask: Bool[Tensor, "time batch"]) -> Rows:
    """The rows of a padded storage (time, batch) with samples left out wherever the mask is False."""
    time, batch = mask.shape
    lengths = mask.sum(0) if is_traced(mask) else mask.sum(0).tolist()
    longest = max([1, *lengths]) if isinstance(lengths, list) else time
    order = torch.argsort((~mask).byte(), dim=0, stable=True)
    return Rows(
        lambda number, row: row.add(order[number, row], alpha=batch),
        lambda number, row: order[number, row],
        *(lengths, longest, mask.device),
        padded=isinstance(lengths, Tensor),
    )


def rows_of_packed(x: PackedSequence) -> Rows:
    """The rows of a packed storage: all first samples, then all second ones, ..., of the longest sequence first.

    Raises:
        ValueError: torch traces and there are no indices, so that nothing but values says how many sequences there are.
    """
    sizes, device = x.batch_sizes, x.data.device
    order, traced = x.unsorted_indices, is_traced(x.batch_sizes)
    if order is None and traced:
        raise ValueError(
            "`x` is packed without the indices that say how many sequences there are, and torch traces, which knows no "
            "values; pack it with enforce_sorted=False"
        )
    batch = int(sizes[0]) if order is None else order.shape[0]
    lengths = (sizes.unsqueeze(1) > torch.arange(batch)).sum(0)
    starts = (sizes.cumsum(0) - sizes).to(device)
    if order is not None:
        lengths = lengths[order.cpu()]
    return Rows(
        lambda number, row: starts[number] + (row if order is None else order[row]),
        lambda number, row: number,
        *(lengths if traced else lengths.tolist(), sizes.shape[0], device),
    )


def rows_of_nested(offsets: Int[Tensor, " batch_and_one"], longest: int | None = None) -> Rows:
    """The rows of a storage in which one sequence lies after the other.

    Args:
        offsets: where each begins, and where the last one ends.
        longest: samples of the longest sequence, where the offsets cannot be read.
    """
    lengths: list[int] | Tensor = offsets.diff()
    if longest is None:
        lengths = lengths.tolist()
        longest = max([1, *lengths])
    return Rows(lambda number, row: number + offsets[row], lambda number, row: number, lengths, longest, offsets.device)
