"""Which transforms of torch are at work: only `Autograd` goes through most of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..loop import Problem


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
