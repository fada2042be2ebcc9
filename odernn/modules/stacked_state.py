"""StackedState: everything a stack carries from one chunk of a sequence to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import GetAttrKey, register_pytree_node

from solvers.extend import Time

from ..layer.state import RecurrentState


@dataclass(frozen=True, slots=True)
class StackedState:
    """The states of the layers of a stack, lowest first. It is a pytree, and a file of it is safe to load.

    Attributes:
        layers: a RecurrentState for each layer.
    """

    layers: tuple[RecurrentState, ...]

    @property
    def y(self) -> Float[Tensor, "layers batch hidden"]:
        """The states of the fields."""
        return torch.stack([state.y for state in self.layers])

    @property
    def t(self) -> Time:
        """The time of the lowest layer."""
        return self.layers[0].t

    def detach(self) -> Self:
        """The same state cut from the graph, for truncated backpropagation through time."""
        return type(self)(tuple(state.detach() for state in self.layers))

    def clone(self) -> Self:
        """The same state in memory of its own."""
        return type(self)(tuple(state.clone() for state in self.layers))

    def to(self, device: torch.device | str | torch.dtype | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same state on another device, in another floating dtype, or both, as `RecurrentState.to`."""
        return type(self)(tuple(state.to(device, dtype) for state in self.layers))


def _with_keys(state: StackedState) -> tuple[list[tuple[Any, Any]], None]:
    return [(GetAttrKey(str(k)), each) for k, each in enumerate(state.layers)], None


register_pytree_node(
    StackedState,
    lambda state: (list(state.layers), None),
    lambda layers, _: StackedState(tuple(layers)),
    serialized_type_name="odernn.StackedState",
    flatten_with_keys_fn=_with_keys,
)
torch.serialization.add_safe_globals([StackedState])
