"""Whether a transform of torch that the registered operators do not take is at work."""

from __future__ import annotations

import torch
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd import forward_ad

from solvers import Problem


def transformed(problem: Problem) -> bool:
    """Whether torch.func maps or differentiates the problem's tensors, or they carry tangents of forward mode.

    While torch.compile traces, it is taken not to be so.
    """
    if torch.compiler.is_compiling():
        return False
    tensors = [x for x in (problem.y0, *problem.inputs, *(problem.parameters or ())) if x is not None]
    return any(is_functorch_wrapped_tensor(x) or _has_tangent(x) for x in tensors)


def _has_tangent(x: torch.Tensor) -> bool:
    if forward_ad._current_level < 0:
        return False
    return forward_ad.unpack_dual(x).tangent is not None
