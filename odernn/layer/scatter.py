"""Pieces of an output put into one storage, without a copy more, forward or backward."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


class _Scattered(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(size: int, count: int, *given: Tensor) -> Tensor:
        places, pieces = given[:count], given[count:]
        storage = pieces[0].new_empty(size + 1, pieces[0].shape[-1])
        empty = torch.ones(size + 1, dtype=torch.bool, device=storage.device)
        for at, piece in zip(places, pieces, strict=True):
            storage.index_copy_(0, at, piece)
            empty.index_fill_(0, at, False)
        return storage.index_fill_(0, empty.nonzero().squeeze(1), 0)[:size]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        size, count, *given = inputs
        ctx.save_for_backward(*given[:count])
        ctx.size = size

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        places, found = ctx.saved_tensors, []
        for at in places:
            piece = gradients[0].index_select(0, at.clamp(max=ctx.size - 1))
            found.append(piece.index_fill_(0, (at == ctx.size).nonzero().squeeze(1), 0))
        return (None, None, *(None for _ in places), *found)


def scattered(
    places: list[Int[Tensor, " samples"]], pieces: list[Float[Tensor, "samples hidden"]], size: int
) -> Float[Tensor, "places hidden"]:
    """A storage with the rows of the pieces at their places, and zero elsewhere.

    Args:
        places: of the rows of each piece, each from 0 to `size`; what belongs to the place `size` is dropped.
        pieces: of the output, one or more.
        size: places of the storage.
    """
    storage: Any = _Scattered.apply(size, len(places), *places, *pieces)
    return storage
