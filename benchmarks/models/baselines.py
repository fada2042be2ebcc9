"""The networks to compare with: torch's own RNN, GRU and LSTM."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.objectives import ReadFrom
from benchmarks.settings.types import BaselineSettings

State = Tensor | tuple[Tensor, Tensor]
"""The hidden state; of an LSTM the cell with it."""

KINDS: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Baseline(nn.Module):
    """One layer of torch's RNN (tanh), GRU or LSTM, of which the last state is wanted, or the trajectory."""

    def __init__(self, settings: BaselineSettings, input_size: int, read_from: ReadFrom = "end") -> None:
        super().__init__()
        self.read_from: ReadFrom = read_from
        self.rnn = KINDS[settings.kind](input_size, settings.hidden_size, batch_first=True)
        if settings.kind != "lstm":
            _check_biases(settings)
        if settings.forget_bias is not None:
            set_forget_bias(self.rnn, settings.forget_bias)
        if settings.single_bias:
            freeze_second_bias(self.rnn)

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch *time hidden"]:
        """The state after the last sample, or after each."""
        return self._read(self.rnn(x)[0])

    def continued(
        self, x: Float[Tensor, "batch time input"], state: State | None
    ) -> tuple[Float[Tensor, "batch *time hidden"], State]:
        """A chunk of longer sequences, as `ODERecurrence.continued`."""
        begin = None if state is None else _mapped(lambda part: part[:, : len(x)].contiguous(), state)
        output, after = self.rnn(x, begin)
        return self._read(output), _mapped(Tensor.detach, after)

    def _read(self, output: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "batch *time hidden"]:
        return output[:, -1] if self.read_from == "end" else output


def _mapped(function: Callable[[Tensor], Tensor], state: State) -> State:
    return function(state) if isinstance(state, Tensor) else (function(state[0]), function(state[1]))


def freeze_second_bias(lstm: nn.Module) -> None:
    """Sets the second bias vector of a one-layer LSTM to 0 for good: it is added to the first, and so gives nothing."""
    bias = dict(lstm.named_parameters())["bias_hh_l0"]
    bias.requires_grad_(False)
    bias.zero_()


def _check_biases(settings: BaselineSettings) -> None:
    if settings.forget_bias is not None:
        raise ValueError(f"`model.forget_bias` is for an lstm, and this is {settings.kind!r}; set it to null")
    if settings.single_bias:
        raise ValueError(f"`model.single_bias` is for an lstm, and this is {settings.kind!r}; set it to false")


def set_forget_bias(lstm: nn.Module, value: float) -> None:
    """Sets every bias of a one-layer LSTM to 0, and what it adds before its forget gate to `value`.

    torch keeps two bias vectors and adds them, so `value` goes into one of them only. The gates lie in the order
    input, forget, cell, output.

    Source: Jozefowicz, Zaremba & Sutskever, An Empirical Exploration of Recurrent Network Architectures, ICML 2015,
    sec. 2.2; the paper uses 1.
    """
    biases = dict(lstm.named_parameters())
    with torch.no_grad():
        biases["bias_ih_l0"].zero_()
        biases["bias_hh_l0"].zero_()
        biases["bias_ih_l0"].chunk(4)[1].fill_(value)
