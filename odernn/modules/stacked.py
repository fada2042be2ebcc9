"""StackedODERNN: layers upon each other, in one direction or two, with the interface of torch.nn.RNN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from solvers import Solver
from solvers.checks import check_flag, check_number

from ..control.hold import Hold
from ..control.time_grid import Step
from ..fields.field import VectorField
from ..layer.odernn import ODERNN
from ..layer.recurrent import RecurrentModule
from ..layer.sequences import Options, Sequences
from ..layer.state import RecurrentState
from .layers import LayerSpec, as_layers, check_fit
from .stacked_starts import layers_of, starts_of
from .stacked_state import StackedState
from .stacked_stream import StackedStream


class StackedODERNN(RecurrentModule[StackedState]):
    """Recurrent layers upon each other: each reads the output of the one below.

    With `reverse`, a second network in each layer reads the samples from the last to the first, and the output has the
    states of both, as a bidirectional torch.nn.RNN. Layers may differ in field, solver and step.

    Args:
        layers: the layers, lowest first, each an `ODERNN` or (field, solver, dt). All have one hidden size.
        reverse: those of the other direction, as many, or None.
        dropout: the probability with which an entry is zeroed between layers, in training.
        batch_first: input and output are (batch, time, feature) instead of (time, batch, feature).

    Attributes:
        layers: the layers, lowest first.
        reverse: those of the other direction, or None.

    Raises:
        TypeError, ValueError: something that is not a layer, layers that do not fit upon each other, a probability out
            of range.
    """

    dropout: float
    batch_first: bool

    def __init__(
        self,
        layers: Sequence[LayerSpec],
        *,
        reverse: Sequence[LayerSpec] | None = None,
        dropout: float = 0.0,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.batch_first = batch_first
        self.layers = nn.ModuleList(as_layers("layers", layers))
        self.reverse = None if reverse is None else nn.ModuleList(as_layers("reverse", reverse))
        if self.reverse is not None and len(self.reverse) != len(self.layers):
            raise ValueError(f"`reverse` has {len(self.reverse)} layers and `layers` {len(self.layers)}; give as many")
        check_fit(list(self.directions()))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; `dropout` and `batch_first` are checked as at construction."""
        if name == "batch_first":
            check_flag(name, value)
        if name == "dropout":
            check_number(name, value)
            if not 0 <= value <= 1:
                raise ValueError(f"`dropout` is {value}; give a probability from 0 to 1")
        super().__setattr__(name, value)

    @property
    def num_layers(self) -> int:
        """Layers upon each other."""
        return len(self.layers)

    @property
    def bidirectional(self) -> bool:
        """Whether there are two directions."""
        return self.reverse is not None

    def directions(self) -> Iterator[tuple[ODERNN, ...]]:
        """The networks of each layer, lowest layer first: one, or the forward and the reverse one."""
        return zip(*([self.layers] if self.reverse is None else [self.layers, self.reverse]), strict=True)  # pyright: ignore[reportReturnType]

    @property
    def input_field(self) -> VectorField:
        """The field of the lowest layer."""
        return self._first.field

    @property
    def checks_input(self) -> bool:
        """Whether the lowest layer refuses an input that is not finite."""
        return self._first.check_input

    def run(
        self, given: Sequences, y0: Tensor | StackedState | None, options: Options
    ) -> tuple[Tensor | None, Tensor | StackedState]:
        """Run over checked sequences, as `RecurrentModule` says."""
        if options.continues:
            self._check_one_direction("a StackedState")
        networks = [network for networks in self.directions() for network in networks]
        output, ends = self._run_layers(given, starts_of(networks, y0, given), options)
        if options.continues:
            return output, StackedState(tuple(ends))
        y_n = torch.stack([state.y for state in ends])
        return output, y_n if given.batched else y_n.squeeze(1)

    @overload
    def step(self, x: Tensor, state: Tensor, *, dt: Step | None = None) -> tuple[Tensor, Tensor]: ...

    @overload
    def step(
        self, x: Tensor, state: StackedState | None = None, *, dt: Step | None = None
    ) -> tuple[Tensor, StackedState]: ...

    def step(
        self, x: Tensor, state: Tensor | StackedState | None = None, *, dt: Step | None = None
    ) -> tuple[Tensor, Tensor | StackedState]:
        """Take one sample: streaming, in one direction. The same numbers as `forward` over the whole sequence.

        Args:
            x: (batch, input), or (input,) unbatched.
            state: what the call before returned; None to start from zero. Or a tensor, the states of the layers, as
                a cell takes it, (layers, batch, hidden), unbatched (layers, hidden).
            dt: as `ODERNN.step`.

        Returns:
            The output of the last layer (batch, hidden), unbatched (hidden,), and the state for the next call, which
            is a tensor if `state` was one.

        Raises:
            TypeError, ValueError, DivergenceError: as `forward`.
        """
        self._check_one_direction("step")
        before: Sequence[Any] = [None] * self.num_layers
        if isinstance(state, Tensor):
            if state.ndim != x.ndim + 1 or len(state) != self.num_layers:
                wanted = (self.num_layers, *x.shape[:-1], self.hidden_size)
                raise ValueError(f"`state` has shape {tuple(state.shape)}; for this sample and stack give {wanted}")
            before = state.unbind()
        elif state is not None:
            before = layers_of("state", state, self.num_layers)
        after: list[Any] = []
        for k, (layer, each) in enumerate(zip(self.layers, before, strict=True)):
            assert isinstance(layer, ODERNN)
            x, end = layer.step(x if not k else self._dropped(x), each, dt=dt)
            after.append(end)
        return x, torch.stack(after) if isinstance(state, Tensor) else StackedState(tuple(after))

    def initial_state(self, batch_size: int = 1) -> StackedState:
        """The zero state for `batch_size` sequences, to begin a chunked run with, in one direction.

        Raises:
            TypeError, ValueError: `batch_size` is not a whole number from 1, or there are two directions.
        """
        self._check_one_direction("initial_state")
        return StackedState(tuple(layer.initial_state(batch_size) for layer in self.layers))  # pyright: ignore

    def stream(self, state: StackedState | int = 1) -> StackedStream:
        """A running sequence that takes sample after sample without gradients or dropout, its weights built once, now.

        Args:
            state: where to begin, or for how many sequences to begin at zero.

        Raises:
            TypeError, ValueError: as `ODERNN.stream`, or there are two directions.
        """
        self._check_one_direction("stream")
        states = [state] * self.num_layers if isinstance(state, int) else layers_of("state", state, self.num_layers)
        return StackedStream([layer.stream(each) for layer, each in zip(self.layers, states, strict=True)])  # pyright: ignore

    def with_solver(
        self, solver: Solver | str, *, substeps: int | None = None, hold: Hold | str | None = None
    ) -> StackedODERNN:
        """The same fields, with the same parameters (shared, not copied), under another discretisation."""
        stacks = [
            None if stack is None else [layer.with_solver(solver, substeps=substeps, hold=hold) for layer in stack]  # pyright: ignore
            for stack in (self.layers, self.reverse)
        ]
        assert stacks[0] is not None
        return StackedODERNN(stacks[0], reverse=stacks[1], dropout=self.dropout, batch_first=self.batch_first)

    def reset_parameters(self) -> None:
        """Draw all parameters again, as at construction.

        Raises:
            NotImplementedError: a field does not say how.
        """
        for networks in self.directions():
            for network in networks:
                network.field.reset_parameters()

    def extra_repr(self) -> str:
        """Sizes, layers, and what is not as by default."""
        facts = [f"{self.input_size}, {self.hidden_size}"]
        facts += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        facts += [f"dropout={self.dropout}"] if self.dropout else []
        facts += [f"{name}=True" for name in ("batch_first", "bidirectional") if getattr(self, name)]
        return ", ".join(facts)

    @property
    def _first(self) -> ODERNN:
        layer = self.layers[0]
        assert isinstance(layer, ODERNN)
        return layer

    def _run_layers(
        self, given: Sequences, states: Sequence[RecurrentState], options: Options
    ) -> tuple[Tensor | None, list[RecurrentState]]:
        """Run layer after layer; the output of the last, and the states at the end in the order of `y0`."""
        samples, ends, waiting = given.samples, [], iter(states)
        for k, networks in enumerate(self.directions()):
            last = k == self.num_layers - 1
            asked = options if last else replace(options, save="trajectory")
            outputs = []
            for backward, network in enumerate(networks):
                output, end = given.run(network.integrator(), samples, next(waiting), asked, backward=bool(backward))
                outputs.append(output)
                ends.append(end)
            if last and options.save == "end":
                return None, ends
            samples = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            samples = samples if last else self._dropped(samples)
        return samples, ends

    def _dropped(self, samples: Tensor) -> Tensor:
        return F.dropout(samples, self.dropout, self.training) if self.dropout else samples

    def _check_one_direction(self, what: str) -> None:
        if self.reverse is not None:
            raise ValueError(
                f"the stack is bidirectional and its other direction begins at the last sample, which `{what}` does "
                "not know; give `forward` the whole sequence, or make the stack without `reverse`"
            )
