"""What a field promises of the blocks of K, as the operators have it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from ..fields.field import AffinePointwiseField, Filling, VectorField
from ..fields.overrides import stated_blocks

NUMBERS: Mapping[Filling, int] = MappingProxyType({"zero": 0, "diagonal": 1, "dense": 2})
"""The fillings as `Program.weight_blocks` has them."""


def fillings_of(field: VectorField) -> tuple[int, ...]:
    """How a registered field fills the halves of K's rows, as numbers, four of a group; none where it does not say."""
    blocks = stated_blocks(field) if isinstance(field, AffinePointwiseField) else None
    return () if blocks is None else tuple(NUMBERS[filling] for row in blocks for filling in row)


def blocks_of(field: AffinePointwiseField, weight: Float[Tensor, "preactivation hidden"]) -> tuple[int, ...]:
    """The field's `weight_blocks` as numbers, none where it has none. That K is filled so the operators see to.

    Raises:
        ValueError: they are not names of fillings, two for each half of K's rows.
    """
    blocks, n = stated_blocks(field), weight.shape[1]
    if blocks is None:
        return ()
    name, wanted = f"`weight_blocks` of {type(field).__name__}", 2 * (len(weight) // n)
    if n % 2 or len(blocks) != wanted or any(len(row) != 2 or not NUMBERS.keys() >= set(row) for row in blocks):
        raise ValueError(
            f"{name} is {blocks!r}; give a pair of {', '.join(map(repr, NUMBERS))} for each of the {wanted} halves of "
            f"K's rows, where K is {tuple(weight.shape)} and the state of two halves"
        )
    return fillings_of(field)
