"""Validate the states that a call of a stack begins with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..layer.odernn import ODERNN
from ..layer.sequences import Sequences
from ..layer.starts import start_of
from ..layer.state import RecurrentState
from .stacked_state import StackedState


def starts_of(networks: Sequence[ODERNN], y0: object, given: Sequences) -> list[RecurrentState]:
    """The state of each network before the first samples.

    Args:
        networks: layer by layer, the forward direction first.
        y0: the states, (networks, batch, hidden), unbatched without the batch; or a StackedState; or None for zero.
        given: the sequences.

    Raises:
        TypeError, ValueError: `y0` does not fit the input and the networks.
    """
    if isinstance(y0, StackedState):
        parts: Sequence[object] = layers_of("y0", y0, len(networks))
    else:
        parts = [None] * len(networks) if y0 is None else _parts(networks, y0, given)
    return [
        start_of(f"y0.layers[{k}]", part, given, network.field, network.integrator().made_by)
        for k, (network, part) in enumerate(zip(networks, parts, strict=True))
    ]


def layers_of(name: str, state: object, count: int) -> tuple[RecurrentState, ...]:
    """The states of the layers of a stack of so many.

    Raises:
        TypeError, ValueError: `state` is not a StackedState, or of another number of layers.
    """
    if not isinstance(state, StackedState):
        raise TypeError(f"`{name}` is {type(state).__name__}; give a StackedState, as `initial_state` returns")
    if len(state.layers) != count:
        raise ValueError(f"`{name}` is of {len(state.layers)} layers and the stack has {count}")
    return state.layers


def _parts(networks: Sequence[ODERNN], y0: object, given: Sequences) -> list[Tensor]:
    if not isinstance(y0, Tensor):
        raise TypeError(f"`y0` is {type(y0).__name__}; give a torch.Tensor, a StackedState or None")
    wanted = (len(networks), *((given.batch,) if given.batched else ()), networks[0].hidden_size)
    if tuple(y0.shape) != wanted:
        raise ValueError(f"`y0` has shape {tuple(y0.shape)}; for this input and stack give {wanted}")
    return list(y0.split(1))
