"""A checksum of a tensor's values: it sees what torch's count of writes does not, such as a write through `.data`."""

from __future__ import annotations

import ctypes
import zlib

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode


def checksum(x: Tensor) -> int | None:
    """The CRC-32 of the values' bytes. It costs one pass over them, and no memory where they lie in one piece.

    Returns:
        The sum; None of a tensor that is not an ordinary one on the CPU: another device would have to be waited for.
        None too inside a TorchDispatchMode, such as FakeTensorMode, where numbers are not what they seem.
    """
    if _get_current_dispatch_mode() is not None:
        return None
    if type(x) not in (Tensor, nn.Parameter) or x.device.type != "cpu" or x.layout is not torch.strided:
        return None
    if not x.is_floating_point() or x.is_neg() or not x.numel():
        return None
    values = x.detach().contiguous()
    return zlib.crc32((ctypes.c_char * (values.numel() * values.element_size())).from_address(values.data_ptr()))


def differs(x: Tensor, found: int | None) -> bool:
    """Whether the tensor has another checksum than was found; no, where one of them is None."""
    now = None if found is None else checksum(x)
    return now is not None and now != found
