"""Which modes of torch are at work around a call: autocast, the transforms of torch.func, forward-mode derivatives."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .loop import Problem

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


def transformed(problem: Problem) -> bool:
    """Whether torch.func maps or differentiates, or a tensor of the problem carries a tangent of forward mode.

    While torch.compile traces, it is taken not to be so.
    """
    if torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return True
    if forward_ad._current_level < 0:
        return False
    parameters = () if problem.parameters is None else problem.parameters()
    tensors = (problem.y0, *problem.inputs, *parameters)
    return any(x is not None and forward_ad.unpack_dual(x).tangent is not None for x in tensors)


def mapped(x: Tensor) -> bool:
    """Whether torch.func.vmap maps over `x` and no other transform is at work, nor a second vmap."""
    levels = torch._C._functorch.get_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
    if levels is None or len(levels) != 1:
        return False
    functorch = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]
    return levels[0].key() == functorch.TransformType.Vmap and functorch.is_batchedtensor(x)
