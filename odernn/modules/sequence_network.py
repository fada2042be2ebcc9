"""SequenceNetwork: a recurrent part and a linear readout, which together answer a question about a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from solvers.checks import check_choice

from ..layer.odernn import ODERNN
from ..layer.state import RecurrentState

ReadFrom = Literal["end", "trajectory"]
Visible = Literal["state", "first-half"]
READ_FROM: tuple[ReadFrom, ...] = ("end", "trajectory")
VISIBLE: tuple[Visible, ...] = ("state", "first-half")


class ODERecurrence(nn.Module):
    """One ODERNN, or several upon each other, read at the last state or at every state.

    Args:
        rnn: the lowest layer, batch first.
        read_from: "end" for the last state, "trajectory" for the state after each sample.
        upper: the layers above it, lowest first; each reads what is visible of the one below.
        visible: what the next layer and the readout see of a state: all of it ("state"), or its "first-half", the
            positions of a partitioned field. coRNN, UnICORNN and LEM are read so in their papers.

    Raises:
        TypeError, ValueError: a layer that is not an ODERNN with the batch first, a layer that does not fit upon the
            one below, an odd state of which half is to be seen.
    """

    def __init__(
        self,
        rnn: ODERNN,
        read_from: ReadFrom = "end",
        *,
        upper: Sequence[ODERNN] = (),
        visible: Visible = "state",
    ) -> None:
        super().__init__()
        check_choice("read_from", read_from, READ_FROM)
        check_choice("visible", visible, VISIBLE)
        self.rnn = rnn
        self.upper = nn.ModuleList(upper)
        self.read_from: ReadFrom = read_from
        self.visible: Visible = visible
        _check_layers(self.layers, visible)

    @property
    def layers(self) -> list[ODERNN]:
        """The layers, lowest first."""
        return [self.rnn, *self.upper]  # pyright: ignore[reportReturnType]

    @property
    def visible_size(self) -> int:
        """Units that the readout sees."""
        return visible_size(self.layers[-1].field.hidden_size, self.visible)

    def with_layers(self, layers: Sequence[ODERNN]) -> ODERecurrence:
        """Other layers, read in the same way."""
        return ODERecurrence(layers[0], self.read_from, upper=layers[1:], visible=self.visible)

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch *time visible"]:
        """What is visible of the last layer's state after the last sample, or after each."""
        *lower, last = self.layers
        for rnn in lower:
            trajectory, _ = rnn(x)
            x = self._seen(trajectory)
        trajectory, y_n = last(x, save=self.read_from)
        return self._seen(y_n[0] if trajectory is None else trajectory)

    def continued(
        self, x: Float[Tensor, "batch time input"], states: Sequence[RecurrentState] | None
    ) -> tuple[Float[Tensor, "batch *time visible"], tuple[RecurrentState, ...]]:
        """A chunk of longer sequences: what `forward` gives, and the states of the layers at its end.

        Args:
            x: the chunk.
            states: those at the end of the chunk before, of as many sequences or more, of which the first are taken;
                None where the sequences begin.

        Returns:
            What is visible, and the states for the next chunk, cut from the graph: truncated backpropagation.
        """
        begin = [rnn.initial_state(len(x)) for rnn in self.layers] if states is None else states
        after = []
        for rnn, state in zip(self.layers, begin, strict=True):
            save: ReadFrom = self.read_from if rnn is self.layers[-1] else "trajectory"
            trajectory, end = rnn(x, state if len(state.y) == len(x) else state.rows(slice(len(x))), save=save)
            x = self._seen(end.y if trajectory is None else trajectory)
            after.append(end.detach().clone())
        return x, tuple(after)

    def _seen(self, y: Tensor) -> Tensor:
        return y if self.visible == "state" else y[..., : y.shape[-1] // 2]


class SequenceNetwork(nn.Module):
    """A recurrent part and one linear layer on what it gives: the head of Chang et al. (2019), sec. 5.

    Args:
        recurrent: from (batch, time, input) to (batch, features), or to (batch, time, features).
        features: that it gives.
        output_size: numbers that the readout makes of them.
        encoder: what makes the recurrent part's input of each sample, such as an embedding; None where that is the
            sample itself.
        dropout: share of the features that the readout does not see in training.
    """

    def __init__(
        self,
        recurrent: nn.Module,
        features: int,
        output_size: int,
        *,
        encoder: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(features, output_size)
        self.encoder = nn.Identity() if encoder is None else encoder
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch *time output"]:
        """The output of the last state, or of each."""
        return self.readout(self.dropout(self.recurrent(self.encoder(x))))

    def continued(
        self, x: Float[Tensor, "batch time input"], state: Any
    ) -> tuple[Float[Tensor, "batch *time output"], Any]:
        """The same for a chunk of longer sequences, from the state that the call before gave; None at their beginning.

        The state that it gives is cut from the graph. The recurrent part needs a `continued` of its own, as
        ODERecurrence has.
        """
        features, after = self.recurrent.continued(self.encoder(x), state)  # pyright: ignore[reportCallIssue]
        return self.readout(self.dropout(features)), after


def visible_size(hidden_size: int, visible: Visible) -> int:
    """How many units of a state are seen."""
    return hidden_size if visible == "state" else hidden_size // 2


def all_finite(network: nn.Module) -> bool:
    """Whether every weight and buffer of a network is a finite number."""
    return all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())


def _check_layers(layers: Sequence[ODERNN], visible: Visible) -> None:
    for k, rnn in enumerate(layers):
        if not isinstance(rnn, ODERNN) or not rnn.batch_first:
            raise TypeError(f"layer {k} is {rnn!r}; give an ODERNN with batch_first=True")
        if visible == "first-half" and rnn.field.hidden_size % 2:
            raise ValueError(f"`visible` is 'first-half'; layer {k} has {rnn.field.hidden_size} units, an odd number")
    for k, (below, rnn) in enumerate(pairwise(layers), start=1):
        seen = visible_size(below.field.hidden_size, visible)
        if rnn.field.input_size != seen:
            raise ValueError(f"the field of layer {k} takes {rnn.field.input_size} features and sees {seen}")
