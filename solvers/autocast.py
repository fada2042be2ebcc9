"""Autocast, and why a recurrence stays out of it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

_KNOWN = frozenset(
    device
    for device in ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "maia", "ipu", "xla")
    if torch.amp.is_autocast_available(device)
)
"""Devices with autocast; asked once, as torch.compile before torch 2.12 cannot trace the question."""


def without_autocast(y: Tensor) -> AbstractContextManager[object]:
    """Where the arithmetic is that of the state's dtype: a long recurrence loses too much in a half-precision one."""
    device = y.device.type
    if device not in _KNOWN or not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def autocast_dtype(y: Tensor) -> torch.dtype | None:
    """The dtype that autocast multiplies matrices in on the device of `y`, or None outside of it."""
    device = y.device.type
    return torch.get_autocast_dtype(device) if device in _KNOWN and torch.is_autocast_enabled(device) else None
