"""Loss and accuracy summed over the batches of an epoch, on their device."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class EpochMetrics:
    """Sums that wait for no device until they are asked for."""

    def __init__(self) -> None:
        self._loss: list[Tensor] = []
        self._correct: list[Tensor] = []
        self._count: list[int] = []

    def add(self, loss: Tensor, logits: Float[Tensor, "batch classes"], label: Int64[Tensor, "batch"]) -> None:
        """Adds a batch: its mean loss, and how many of its samples are right."""
        self._loss.append(loss.detach())
        self._correct.append((logits.detach().argmax(-1) == label).sum())
        self._count.append(len(label))

    def close(self) -> tuple[float, float]:
        """The mean loss and the accuracy (0 to 1) over all samples added; begins anew."""
        losses = torch.stack(self._loss).tolist()
        count = sum(self._count)
        loss = sum(mean * size for mean, size in zip(losses, self._count, strict=True)) / count
        accuracy = int(torch.stack(self._correct).sum()) / count
        self._loss, self._correct, self._count = [], [], []
        return loss, accuracy
