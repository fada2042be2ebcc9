"""Long sequences run chunk by chunk: the state at the end of one begins the next."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from odernn import SequenceNetwork


class ChunkRunner:
    """Runs a network over batches, of which each continues the one before where `carries_state`.

    The state is cut from the graph between two batches: backpropagation through time is truncated there.
    """

    def __init__(self, *, carries_state: bool) -> None:
        self.carries_state = carries_state
        self._state: Any = None

    def __call__(
        self, network: SequenceNetwork, x: Float[Tensor, "batch time input"], *, begins: bool
    ) -> Float[Tensor, "batch *time output"]:
        """The output for one batch; where it `begins` its sequences, from the zero state."""
        if not self.carries_state:
            return network(x)
        output, self._state = network.continued(x, None if begins else self._state)
        return output
