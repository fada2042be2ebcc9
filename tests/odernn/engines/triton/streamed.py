"""Networks of a few units with K streamed, as that of hundreds is: several tiles a sum, the last of them part empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import nan

import pytest
from torch import Tensor

from odernn.engines.triton import availability, launch, programs, streaming
from odernn.engines.triton.layout import Layout

BLOCK = 16 << 10
"""Bytes of shared memory of a card on which no K fits, and of up to 32 units every K is streamed."""


@contextmanager
def streamed() -> Iterator[None]:
    """A card with little shared memory, tiles of 16 terms, and products as on a device, of three.

    The interpreter multiplies in float32 whatever is asked for, so that three TF32 products must add up to what one in
    float32 gives. Behind K lies what is not a number, as it does in the scratch memory until all of it is written.
    """
    scratch_for, taken = programs.scratch_for, list[tuple[int, Tensor]]()

    def among_others(layout: Layout, weight: Tensor, *, transposed: bool) -> Tensor:
        found = streaming.in_order(layout, weight, transposed=transposed)
        place = found.new_full((found.numel() + layout.padded * layout.sums,), nan)[: found.numel()]
        return place.copy_(found.flatten()).view_as(found)

    def watched(layout: Layout, blocks: int, like: Tensor) -> tuple[Tensor, ...]:
        found = scratch_for(layout, blocks, like)
        taken.append((blocks, found[0].fill_(nan)))
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(availability, "room_on", lambda _: BLOCK)
        patched.setattr(availability, "precision_of", lambda *_: "tf32x3")
        patched.setattr(streaming, "TILE", 1 << 10)
        patched.setattr(launch, "in_order", among_others)
        patched.setattr(programs, "scratch_for", watched)
        yield
    assert taken
    for blocks, states in taken:  # each has two places, and writes to the first of them first
        assert states.view(blocks, 2, -1)[:, 0].isfinite().all(), "a program has not written its state"
