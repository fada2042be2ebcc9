"""K in memory, for the kernels that read it again in every product."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import pad

from .layout import Layout, Precision, Stream

TILE = 32 << 10
"""Bytes of K in a tile."""
AHEAD = 3
"""As Triton counts `num_stages`: one tile is in use and one under way, which hides the time that L2 takes."""
BYTES: Mapping[Precision, int] = MappingProxyType({"tf32x3": 4, "tf32": 4, "bf16": 2, "ieee": 4})
"""Of an entry of K in memory."""
_BESIDE = 4 << 10
"""Shared memory beside the tiles, at most."""


def stream_of(layout: Layout) -> Stream:
    """How the kernels of a layout read K. A state of more than 256 units needs the registers of 16 warps."""
    columns = layout.padded
    tile = TILE // (BYTES[layout.precision] * columns)
    warps = 4 if columns <= 64 else 8 if columns <= 256 else 16
    return Stream(min(max(16, tile), 64, layout.whole), AHEAD, warps)


def shared_by_tiles(layout: Layout, stream: Stream) -> int:
    """Bytes of shared memory that the tiles of K and those of the state beside them take, at most."""
    on_chip = max(1, stream.ahead - 1)
    return on_chip * stream.tile * (layout.padded + layout.rows) * BYTES[layout.precision] + _BESIDE


def in_order(layout: Layout, weight: Tensor, *, transposed: bool) -> Tensor:
    """K as the kernels take it: as it is where it stays on the chip; to be streamed, as blocks filled up with zeros.

    Args:
        layout: sizes.
        weight: K (groups n, n), of several networks (models, groups n, n).
        transposed: whether the products are with K^T, as those of the forward kernel.

    Returns:
        To be streamed: blocks (..., groups, parts moved, parts that move them, units, sums), the last axis what a
        product sums over, in the type of its operands.
    """
    if layout.stream is None:
        return weight.contiguous()
    parts, size = layout.parts, layout.size
    blocks = weight.unflatten(-2, (layout.groups, parts, size)).unflatten(-1, (parts, size)).transpose(-3, -2)
    blocks = blocks if transposed else blocks.transpose(-2, -1)
    return pad(blocks, (0, layout.sums - size)).to(operands_of(layout)).contiguous()


def operands_of(layout: Layout) -> torch.dtype:
    """The type of a product's operands."""
    return torch.bfloat16 if layout.precision == "bf16" else torch.float32
