"""What the chunks of a parallel backward pass give to each gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from .chunk import Chunk, open_chunk
from .recurrence import Recurrence

ENTRIES = 1 << 20
"""Entries of the state that a chunk's stages may have together: a few MB, so that they stay near the processor."""


def chunk_bounds(length: int, each: int) -> list[tuple[int, int]]:
    """The chunks of a sequence of `length` intervals whose stages have `each` entries an interval, in order."""
    size = max(1, ENTRIES // each)
    return [(start, min(start + size, length)) for start in range(0, length, size)]


class GradientSums:
    """The gradients of a backward pass, added up chunk by chunk.

    Args:
        recurrence: the whole recurrence, as the forward pass had it.
        parameters: the leaf tensors that its functions close over.
        needed: whether gradients are asked for by weight, samples, the control before and dt, and by each parameter.
    """

    def __init__(self, recurrence: Recurrence, parameters: tuple[Tensor, ...], needed: tuple[bool, ...]) -> None:
        weight, samples, before, dt, *of_parameters = needed
        self.recurrence = recurrence
        self.weight = torch.zeros_like(recurrence.weight) if weight else None
        self.samples = torch.zeros_like(recurrence.samples) if samples else None
        self.before = None if recurrence.before is None or not before else torch.zeros_like(recurrence.before)
        self.dt = torch.zeros_like(recurrence.dt) if dt and isinstance(recurrence.dt, Tensor) else None
        self.needed = of_parameters
        self.given = [p for p, asked in zip(parameters, of_parameters, strict=True) if asked]
        self.parameters: list[Tensor | None] = [None] * len(self.given)
        self.leaf: Tensor | None = None
        self.before_leaf: Tensor | None = None

    def open(self, start: int, stop: int, substeps: int) -> Chunk:
        """The chunk from `start` to `stop`, its samples leaves of a graph of their own."""
        whole = self.recurrence
        first = start if start == 0 or whole.scheme.jumps else start - 1
        self.leaf = whole.samples[first:stop].detach().requires_grad_(self.samples is not None)
        self.before_leaf = None if whole.before is None else whole.before.detach().requires_grad_(True)
        dt = whole.dt[first:stop] if isinstance(whole.dt, Tensor) else whole.dt
        part = Recurrence(whole.scheme, whole.weight.detach(), self.leaf, self.before_leaf, dt)
        with torch.enable_grad():
            return open_chunk(part.segment(start - first, stop - first) if first < start else part, substeps)

    def close(self, chunk: Chunk, start: int, stop: int) -> None:
        """Add what the chunk's stages, filled in by the recursion, give to every gradient."""
        if self.weight is not None:
            self._add_weight(chunk)
        if self.dt is not None:
            self._add_dt(chunk, start, stop)
        self._add_control(chunk, start, stop)

    def outcome(self) -> tuple[Tensor | None, ...]:
        """The gradients by weight, samples, the control before, dt and the parameters, None where none was asked."""
        found = iter(self.parameters)
        return (self.weight, self.samples, self.before, self.dt, *(next(found) if one else None for one in self.needed))

    def _add_weight(self, chunk: Chunk) -> None:
        assert self.weight is not None
        for stage in chunk.stages:
            self.weight[stage.rows, stage.columns] += stage.weight_gradient()

    def _add_dt(self, chunk: Chunk, start: int, stop: int) -> None:
        """A slope enters multiplied by its share of dt, and kappa has that factor: <kappa, slope> / dt for each."""
        assert self.dt is not None
        products = sum((stage.kappa * stage.slope.detach()).sum(-1) for stage in chunk.stages)
        assert isinstance(products, Tensor)
        lengths = chunk.recurrence.dt
        assert isinstance(lengths, Tensor)
        rows = products.unsqueeze(-1) / lengths.reshape(len(lengths), -1, 1)
        self.dt[start:stop] = rows.sum_to_size(len(lengths), lengths.reshape(len(lengths), -1).shape[1], 1).view_as(
            lengths
        )

    def _add_control(self, chunk: Chunk, start: int, stop: int) -> None:
        """Through the control and the parameters, by the graph of the chunk."""
        assert self.leaf is not None
        slopes = [stage.slope for stage in chunk.stages if stage.slope.requires_grad]
        kappas = [stage.kappa for stage in chunk.stages if stage.slope.requires_grad]
        by_samples = [self.leaf] if self.samples is not None else []
        by_before = [self.before_leaf] if self.before is not None and self.before_leaf is not None else []
        if not slopes or not (by_samples or by_before or self.given):
            return
        found = list(torch.autograd.grad(slopes, [*by_samples, *by_before, *self.given], kappas, allow_unused=True))
        if self.samples is not None:
            got = found.pop(0)
            if got is not None:
                self.samples[stop - len(got) : stop] += got
        if by_before:
            got = found.pop(0)
            if got is not None and self.before is not None:
                self.before += got
        self.parameters = [_sum(old, new) for old, new in zip(self.parameters, found, strict=True)]


def _sum(old: Tensor | None, new: Tensor | None) -> Tensor | None:
    if old is None or new is None:
        return new if old is None else old
    return old.add_(new)
