"""A checksum of a tensor's values: it sees what torch's count of writes does not, such as a write through `.data`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WORDS = {1: torch.int8, 2: torch.int16}  # others are read in halves and quarters of 32 bits: no product overflows
_BLOCK = 1 << 14
"""Entries at a time, which bounds the scratch memory."""


def checksum(x: Tensor) -> int | None:
    """The sum of the entries' bits, each times an odd number of its place: whole numbers, exact in any order of adding.

    Every place has a factor of its own within a block, so that changes of sign or an exchange of two entries do not
    cancel. It costs one pass over the values.

    Returns:
        The sum; None of a tensor that is not an ordinary one on the CPU: another device would have to be waited for.
    """
    if type(x) not in (Tensor, nn.Parameter) or x.device.type != "cpu" or x.layout is not torch.strided:
        return None
    if not x.is_floating_point() or x.is_neg() or not x.numel():
        return None
    bits = x.detach().reshape(-1).contiguous().view(_WORDS.get(x.element_size(), torch.int32))
    factors = torch.arange(1, 2 * min(_BLOCK, len(bits)), 2, dtype=torch.int64, device="cpu")
    total = 0
    for block in bits.split(_BLOCK):
        total = (31 * total + int((block * factors[: len(block)]).sum())) % (1 << 64)
    return total
