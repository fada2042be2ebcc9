"""The most memory that a piece of work holds at once, counted by torch's allocators."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch._C._autograd import _disable_profiler, _enable_profiler, _prepare_profiler
from torch._C._profiler import ProfilerActivity, RecordScope
from torch.autograd.profiler import profile

Action = Callable[[], object]

_LEVEL = "KINETO_LOG_LEVEL"


def peak_bytes(work: Action, device: torch.device) -> int:
    """The most bytes that `work` holds at once of what it allocates itself.

    On the CPU every allocation of torch's allocator is counted: tensors, what autograd saves, the scratch of kernels
    that ask torch for it, states of random generators. Views and work in place take nothing. What was there before is
    not counted, nor are Python's own objects and the nodes of the graph. On a GPU it is what
    torch.cuda.max_memory_allocated rises by.
    """
    gc.collect()
    return _on_cuda(work, device) if device.type == "cuda" else _on_cpu(work)


def _on_cpu(work: Action) -> int:
    # What torch.profiler does with `profile_memory`, but without a record of each operation, which would make it five
    # times as slow and take more memory than what is measured. Its own class does not pass on the scopes to record.
    config, activities = profile(profile_memory=True).config(), {ProfilerActivity.CPU}
    with _hushed():
        _prepare_profiler(config, activities)
        _enable_profiler(config, activities, {RecordScope.USER_SCOPE})  # pyright: ignore[reportCallIssue]
        try:
            work()
        finally:
            events = _disable_profiler().events()
    held = most = 0
    for event in events:  # in the order of time
        held += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]
        most = max(most, held)
    return most


def _on_cuda(work: Action, device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


@contextmanager
def _hushed() -> Iterator[None]:
    """Suppress the two lines that the profiler of torch 2.13 writes to stderr at every start and stop."""
    before = os.environ.get(_LEVEL)
    os.environ[_LEVEL] = "99" if before is None else before
    try:
        yield
    finally:
        if before is None:
            del os.environ[_LEVEL]
