"""RecurrentModule: the call that a layer and a stack of layers have in common, which is that of torch.nn.RNN."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar, get_args, overload

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from solvers.checks import check_choice, check_count
from solvers.extend import Save

from ..control.time_grid import Step
from ..fields.field import VectorField
from .layouts import Lengths, sequences_of
from .sequences import Input, Options, Sequences
from .timing import Timing

Layout = TypeVar("Layout", Tensor, PackedSequence)
State = TypeVar("State")


class RecurrentModule(nn.Module, ABC, Generic[State]):
    """A module that runs over sequences: one signature, one set of checks, and one way back to the input's layout.

    `State` is everything that a subclass hands on from one chunk of a sequence to the next.
    """

    batch_first: bool

    @property
    @abstractmethod
    def input_field(self) -> VectorField:
        """The field that takes the samples."""

    @property
    @abstractmethod
    def checks_input(self) -> bool:
        """Whether an input that is not finite is refused."""

    @abstractmethod
    def run(
        self, given: Sequences, y0: Tensor | State | None, options: Options
    ) -> tuple[Tensor | None, Tensor | State]:
        """Run over checked sequences.

        Args:
            given: the sequences.
            y0: as `forward` was given it.
            options: of the call; `options.continues` is true where `y0` is a state.

        Returns:
            The output in the layout of `given.samples`, or None, and y_n as `forward` returns it.
        """

    @overload
    def forward(
        self,
        x: Layout,
        y0: Tensor | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[Layout | None, Tensor]: ...

    @overload
    def forward(
        self,
        x: Layout,
        y0: State,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[Layout | None, State]: ...

    def forward(
        self,
        x: Input,
        y0: Tensor | State | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[Input | None, Tensor | State]:
        """Run the network over a sequence.

        Args:
            x: (time, batch, input), or (batch, time, input) if `batch_first`, or (time, input) unbatched; or a
                PackedSequence, sorted or not; or a nested tensor (batch, *, input) with layout=torch.jagged.
            y0: the states before the first sample, zero if None. Of a layer (1, batch, hidden), unbatched (1, hidden);
                of a stack (layers x directions, batch, hidden), layer by layer, the forward direction first. Or what
                the chunk before returned, a RecurrentState of a layer, a StackedState of a stack in one direction: it
                holds what the solver carries, the time and the hold too, and then any split of a sequence gives the
                same output. A tensor restarts a multi-step solver.
            dt: overrides the module's dt in this call. Read from the end, each sample keeps its own step.
            timestamps: the times of the samples instead of steps, (time,) or (batch, time), increasing. The interval
                before the first sample runs from the time of `y0` if that is a state; otherwise it is the layer's dt,
                which must be a number then.
            lengths: samples of each sequence, (batch,) or a list; the rest is padding, whatever is in it (also of
                `dt` and `timestamps`). There the output is zero, and y_n is the state after the last sample. The other
                direction of a stack begins at the last sample.
            mask: which samples count, a bool tensor shaped as `x` without the features. At the others the state stays
                as it is, and the output is that of the sample before. Samples are left out as if they were not there.
            resets: before which samples the state starts afresh, from zero, likewise a bool tensor: what the solver
                carries, the time and the hold start afresh too. With a PackedSequence or a nested tensor it is padded;
                one at a sample that is masked counts for the next. In the other direction the state starts afresh
                after the sample before.
            truncate: stop gradients after every so many samples of each sequence, counted from the first of this call
                (in the other direction of a stack from the last): truncated backpropagation through time. The numbers
                stay, and the gradients are those of a loop over chunks that detaches the state. With `save="end"`
                memory is that of one chunk. With the trajectory it is that of the whole call, as a loss of all of it
                needs all; for less, take a loss of each chunk and go back before the next one begins.
            save: "trajectory" for the output at every sample, "end" for the last states only.

        Returns:
            (output, y_n): output as x with `hidden` in place of `input`, of a stack in two directions twice that, or
            None if only the end was asked; y_n like y0: a tensor, or a state if y0 was one.

        Raises:
            TypeError, ValueError: an argument does not fit the field or the others; the message says what would do.
            DivergenceError: a state stopped being finite, and `on_divergence` of its layer is "raise".
        """
        if save != "trajectory":
            check_choice("save", save, get_args(Save))
        if truncate is not None:
            check_count("truncate", truncate)
        if dt is not None and timestamps is not None:
            raise ValueError("`dt` and `timestamps` are both given; give one of them")
        given = sequences_of(
            *(x, self.input_field),
            batch_first=self.batch_first,
            lengths=lengths,
            mask=mask,
            resets=resets,
            check_input=self.checks_input,
        )
        continues = y0 is not None and not isinstance(y0, Tensor)
        output, y_n = self.run(given, y0, Options(Timing(dt, timestamps), save, truncate, continues))
        return None if output is None else given.give(output), y_n

    @property
    def input_size(self) -> int:
        """Features of an input sample."""
        return self.input_field.input_size

    @property
    def hidden_size(self) -> int:
        """Units of the state, of one layer in one direction."""
        return self.input_field.hidden_size

    def flatten_parameters(self) -> None:
        """Nothing: there is no cuDNN buffer to lay the parameters out in. torch's modules have it."""
