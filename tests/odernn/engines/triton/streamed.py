"""Networks of a few units with K streamed, as that of hundreds is: several tiles a sum, the last of them part empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from odernn.engines.triton import availability, streaming

BLOCK = 16 << 10
"""Bytes of shared memory of a card that K fits on of no network, and on which every one of up to 32 units is streamed."""


@contextmanager
def streamed() -> Iterator[None]:
    """A card with little shared memory, tiles of 16 terms, and products as on a device, of three.

    The interpreter multiplies in float32 whatever is asked for, so that the parts of the operands that three TF32 products
    are made of must add up to what one in float32 gives.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(availability, "_shared_memory_of", lambda _: BLOCK)
        patched.setattr(availability, "precision_of", lambda *_: "tf32x3")
        patched.setattr(streaming, "TILE", 1 << 10)
        yield
