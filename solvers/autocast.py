"""Autocast, and why a recurrence stays out of it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(y: Tensor) -> AbstractContextManager[object]:
    """Where the arithmetic is that of the state's dtype: a long recurrence loses too much in a half-precision one."""
    device = y.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)
