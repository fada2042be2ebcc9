"""What a task gives and an objective takes."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float, Shaped
from torch import Tensor


class Batch(NamedTuple):
    """Sequences with what is wanted of them.

    Attributes:
        x: the input.
        target: a sample's target, (batch, ...), or one for each of its steps, (batch, time, ...); see the objective.
        mask: which steps count, where there is a target for each; None where all do.
    """

    x: Float[Tensor, "batch time input"]
    target: Shaped[Tensor, "batch ..."]
    mask: Bool[Tensor, "batch time"] | None = None
