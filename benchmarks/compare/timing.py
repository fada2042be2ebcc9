"""How long a sequence takes under each scheme: all schemes in turn, again and again, so that noise meets all alike."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from odernn import ODERNN

ENOUGH = 20.0
"""Seconds after which a scheme is timed no further, once it has run twice."""


@torch.no_grad()
def time_in_turn(
    layers: Sequence[ODERNN], x: Float[Tensor, "batch time input"], repeats: int
) -> list[tuple[float, ...]]:
    """The seconds of a forward pass to the last state, divided by the sequences of the batch: of each repeat.

    A pass of each comes before the first that counts.
    """
    for layer in layers:
        layer(x[:1], save="end")
    seconds: list[list[float]] = [[] for _ in layers]
    for _ in range(repeats):
        for layer, found in zip(layers, seconds, strict=True):
            if len(found) < 2 or sum(found) < ENOUGH:
                began = time.perf_counter()
                layer(x, save="end")
                found.append(time.perf_counter() - began)
    return [tuple(each / len(x) for each in found) for found in seconds]
