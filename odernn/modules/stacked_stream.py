"""StackedStream: the streams of a stack's layers, one feeding the next."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from ..layer.stream import Stream
from .stacked_state import StackedState


class StackedStream:
    """A running sequence, or a batch of them, through all layers, without gradients; see `Stream`.

    Args:
        streams: of the layers, lowest first.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = tuple(streams)

    @property
    def state(self) -> StackedState:
        """Where the stream stands, to go on from elsewhere. Writing into it does not move the stream."""
        return StackedState(tuple(stream.state for stream in self._streams))

    def __call__(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch hidden"]:
        """The output of the last layer after the sample `x`.

        Raises:
            TypeError, ValueError, DivergenceError: as `Stream`.
        """
        for stream in self._streams:
            x = stream(x)
        return x
