"""What a kernel for the recursion takes of a chunk."""

from __future__ import annotations

import torch
from torch import Tensor

from .chunk import Chunk


def by_step(buffer: Tensor, evaluations: int) -> Tensor:
    """A buffer (time, evaluations, ...) as (solver steps, evaluations of one, ...)."""
    return buffer.reshape(-1, evaluations, *buffer.shape[2:])


def by_state(chunk: Chunk, first: int, evaluations: int) -> Tensor | None:
    """The derivatives by the state (solver steps, evaluations of one, batch, units), or None if it never enters.

    Args:
        chunk: recorded.
        first: the interval of the chunk to begin with.
        evaluations: of a solver step.
    """
    found = [stage.state for stage in chunk.stages]
    if all(one is None for one in found):
        return None
    zeros = torch.zeros_like(next(one for one in found if one is not None))
    return by_step(torch.stack([zeros if one is None else one for one in found], dim=1)[first:], evaluations)
