"""Means over the items that count, of a batch and of an epoch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.models.together import sum_over_processes


def masked_mean(scores: Float[Tensor, "*items"], mask: Bool[Tensor, "*items"] | None) -> Float[Tensor, ""]:
    """The mean of the items that count; of all without a mask."""
    return scores.mean() if mask is None else _masked_sum(scores, mask) / mask.sum()


class RunningMeans:
    """The means of an epoch's scores. They stay on their device, and nothing waits for it until the epoch ends."""

    def __init__(self) -> None:
        self._sums: dict[str, list[Tensor]] = {}
        self._counts: list[Tensor] = []

    def add(self, scores: Mapping[str, Float[Tensor, "*items"]], mask: Bool[Tensor, "*items"] | None = None) -> None:
        """Adds the items of a batch that count."""
        for name, values in scores.items():
            self._sums.setdefault(name, []).append(_masked_sum(values.detach(), mask))
        first = next(iter(scores.values()))
        self._counts.append(torch.tensor(first.numel()) if mask is None else mask.sum())

    def close(self) -> dict[str, float]:
        """The mean of each score over all items added, by whichever process; the next epoch begins."""
        device = next(iter(self._sums.values()))[0].device
        own = [sum(torch.stack(each).tolist()) for each in (self._counts, *self._sums.values())]
        count, *sums = sum_over_processes(own, device)
        means = {name: total / count for name, total in zip(self._sums, sums, strict=True)}
        self._sums, self._counts = {}, []
        return means


def _masked_sum(values: Float[Tensor, "*items"], mask: Bool[Tensor, "*items"] | None) -> Float[Tensor, ""]:
    # `where` and not a product: what does not count may be inf or nan.
    return values.sum() if mask is None else torch.where(mask, values, torch.zeros_like(values)).sum()
