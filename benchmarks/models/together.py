"""Sums over the processes that train one network together; a single process is its own sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist

from solvers import DivergenceError


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if _is_shared() else 1


def sum_over_processes(values: Sequence[float], device: torch.device) -> list[float]:
    """Each of the values, summed over the processes; they all get the same."""
    if not _is_shared():
        return list(values)
    summed = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(summed)
    return summed.tolist()


@contextmanager
def diverging_together(device: torch.device) -> Iterator[None]:
    """Lets a network that diverges in one process end them all: the others would wait for it."""
    error = None
    try:
        yield
    except DivergenceError as caught:
        error = caught
        if not _is_shared():
            raise
    if sum_over_processes([error is not None], device)[0]:
        raise error or DivergenceError("the network diverged on another device", None, None, None)


def _is_shared() -> bool:
    return dist.is_available() and dist.is_initialized()
