"""Pieces of an output put into one storage, without a copy more, forward or backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


class _Scattered(torch.autograd.Function):
    """(places of the storage, the place of what is dropped, empty places, number of pieces, places, pieces)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(size: int, dropped: int, empty: Tensor, count: int, *given: Tensor) -> Tensor:
        return _put(size, empty, given[:count], given[count:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.size, ctx.dropped, empty, count, *given = inputs
        ctx.save_for_backward(empty, *given[:count])
        ctx.save_for_forward(empty, *given[:count])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        empty, *places = ctx.saved_tensors
        return _put(ctx.size, empty, places, tangents[4 + len(places) :])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        _, *places = ctx.saved_tensors
        found = []
        for at in places:
            piece = gradients[0].index_select(0, at)
            found.append(piece.index_fill_(0, (at == ctx.dropped).nonzero().squeeze(1), 0))
        return (None,) * (4 + len(places)) + tuple(found)


def _put(size: int, empty: Tensor, places: Sequence[Tensor], pieces: Sequence[Tensor]) -> Tensor:
    storage = pieces[0].new_empty(size, pieces[0].shape[-1])
    for at, piece in zip(places, pieces, strict=True):
        storage.index_put_((at,), piece)  # for which vmap has a rule, and not for index_copy_
    return storage.index_fill_(0, empty, 0)


def scattered(
    places: Sequence[Int[Tensor, " samples"]], pieces: Sequence[Float[Tensor, "samples hidden"]], size: int
) -> Float[Tensor, "places hidden"]:
    """A storage with the rows of the pieces at their places, and zero elsewhere.

    Args:
        places: of the rows of each piece, each from 0 to `size`; what belongs to the place `size` is dropped.
        pieces: of the output, one or more.
        size: places of the storage.
    """
    covered = torch.zeros(size + 1, dtype=torch.bool, device=places[0].device)
    for at in places:
        covered.index_fill_(0, at, True)
    empty = (~covered[:size]).nonzero().squeeze(1)
    # What is dropped goes to an empty place, which is set to zero after it; or else to one beyond the last.
    dropped = int(empty[0]) if len(empty) else size
    beyond = not len(empty) and bool(covered[size])
    moved = [at.masked_fill(at == size, dropped) for at in places]
    storage: Any = _Scattered.apply(size + beyond, dropped, empty, len(places), *moved, *pieces)
    return storage[:size] if beyond else storage
