"""ODERNN: a recurrent layer that is a solver stepping a vector field through its input."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, get_args, overload

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from solvers import Adjoint, Autograd, ExplicitRungeKutta, Solver
from solvers.checks import check_choice, check_count
from solvers.extend import OnDivergence, Save, check_divergence, without_autocast

from ..control.hold import Hold
from ..control.time_grid import Step, as_tensor, end_of_each, grid_of_samples, time_grid
from ..engines.choice import Auto, Choice, Engine, choice_of, on_engine
from ..engines.problem import Storage, packed_samples
from ..engines.torch.discrete_adjoint import DiscreteAdjoint
from ..engines.traced.kernels import compile_kernels
from ..fields.contract import undisturbed
from ..fields.field import VectorField
from ..fields.overrides import affine_control_of
from ..fields.parametrise import built_once
from . import inputs
from .layouts import Lengths, sequences_of
from .prepared import Prepared
from .problem import built_weight, initial_value_problem
from .sequences import Input, Options, Sequences
from .settings import as_setting, is_setting
from .state import RecurrentState
from .stepping import Discretisation
from .stream import Stream
from .timing import Timing, steps


class ODERNN(nn.Module):
    """A recurrent network: `solver` steps `field`, driven by the input, from sample to sample.

    Output n is the state after sample n. Sample n drives the interval that ends there, so the network is causal.
    The shapes are those of a one-layer torch.nn.RNN, with y in place of the hidden state.

    Args:
        field: dy/dt = f(t, y, u), a module with the parameters.
        solver: the discretisation, a Solver or its name; Euler gives the paper's network.
        dt: the time from one sample to the next, in the units of 1 / damping: a number or a tensor of shape (),
            (time,) or (batch, time). A tensor moves with the layer and is in its state_dict, an nn.Parameter is
            trained too. Every call can have another one.
        substeps: solver steps from one sample to the next.
        hold: the control between samples, "zero-order" (the paper's), "linear" or a Hold.
        batch_first: input and output are (batch, time, feature) instead of (time, batch, feature).
        adjoint: how gradients flow, an Adjoint or its name; "auto" is the exact discrete adjoint where it is parallel
            in time, which is differentiated once, and "autograd" elsewhere.
        engine: what executes the exact discrete adjoint ("auto" and "discrete", or Checkpointed around them): "torch"
            on any device; "native", C++ kernels on the CPU, built at first use; or "auto", which picks by device,
            dtype and size, as `choice` says.
        on_divergence: what to do when the state stops being finite: "raise" a DivergenceError, "warn" with a
            DivergenceWarning, or "ignore", which reads nothing back from the device.
        check_input: refuse an input that is not finite, naming its first bad sample and step; reads one value back.

    An attribute of the same name can be set afterwards; it is checked and converted as the argument is.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or a solver that needs a structure that
            the field does not have; the message says what would do.
    """

    field: VectorField
    solver: Solver
    dt: Step
    substeps: int
    hold: Hold
    batch_first: bool
    adjoint: Adjoint
    engine: Engine
    on_divergence: OnDivergence
    check_input: bool

    def __init__(
        self,
        field: VectorField,
        solver: Solver | str,
        *,
        dt: Step,
        substeps: int = 1,
        hold: Hold | str = "zero-order",
        batch_first: bool = False,
        adjoint: Adjoint | str = "auto",
        engine: Engine = "auto",
        on_divergence: OnDivergence = "raise",
        check_input: bool = False,
    ) -> None:
        super().__init__()
        self.field = field
        self.solver = solver  # pyright: ignore[reportAttributeAccessIssue]
        self.dt = dt
        self.substeps = substeps
        self.hold = hold  # pyright: ignore[reportAttributeAccessIssue]
        self.batch_first = batch_first
        self.adjoint = adjoint  # pyright: ignore[reportAttributeAccessIssue]
        self.engine = engine
        self.on_divergence = on_divergence
        self.check_input = check_input

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A setting is checked and converted as at construction, and left as it was if refused."""
        if is_setting(name):
            value = as_setting(name, value, lambda other: getattr(self, other, None))
        if name == "solver":
            self._made_by = repr(value)
        if name != "dt":
            super().__setattr__(name, value)
            return
        for store in (self.__dict__, self._parameters, self._buffers):
            store.pop("dt", None)
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            self.register_buffer("dt", value)
        else:
            super().__setattr__("dt", value)

    @overload
    def forward(
        self,
        x: Tensor,
        y0: Tensor | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[Tensor | None, Tensor]: ...

    @overload
    def forward(
        self,
        x: Tensor,
        y0: RecurrentState,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[Tensor | None, RecurrentState]: ...

    @overload
    def forward(
        self,
        x: PackedSequence,
        y0: Tensor | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[PackedSequence | None, Tensor]: ...

    @overload
    def forward(
        self,
        x: PackedSequence,
        y0: RecurrentState,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[PackedSequence | None, RecurrentState]: ...

    def forward(
        self,
        x: Input,
        y0: Tensor | RecurrentState | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        save: Save = "trajectory",
    ) -> tuple[Input | None, Tensor | RecurrentState]:
        """Run the network over a sequence.

        Args:
            x: (time, batch, input), or (batch, time, input) if `batch_first`, or (time, input) unbatched; or a
                PackedSequence, sorted or not; or a nested tensor (batch, *, input) with layout=torch.jagged.
            y0: the state before the first sample, (1, batch, hidden), unbatched (1, hidden); zero if None. Or the
                RecurrentState of the chunk before, which holds what the solver carries, the time and the hold too:
                then any split of a sequence gives the same output. A tensor restarts a multi-step solver.
            dt: overrides the layer's dt in this call.
            timestamps: the times of the samples instead of steps, (time,) or (batch, time), increasing. The interval
                before the first sample runs from the time of `y0` if that is a RecurrentState; otherwise it is the
                layer's dt, which must be a number then.
            lengths: samples of each sequence, (batch,) or a list; the rest is padding, whatever is in it (also of
                `dt` and `timestamps`). There the output is zero, and y_n is the state after the last sample.
            mask: which samples count, a bool tensor shaped as `x` without the features. At the others the state stays
                as it is, and the output is that of the sample before. Samples are left out as if they were not there.
            resets: before which samples the state starts afresh, from zero, likewise a bool tensor: what the solver
                carries, the time and the hold start afresh too. With a PackedSequence or a nested tensor it is padded;
                one at a sample that is masked counts for the next.
            truncate: stop gradients after every so many samples: truncated backpropagation through time.
            save: "trajectory" for the output at every sample, "end" for the last state only.

        Returns:
            (output, y_n): output as x with `hidden` in place of `input`, or None if only the end was asked;
            y_n like y0: a tensor, or a RecurrentState if y0 was one.

        Raises:
            TypeError, ValueError: an argument does not fit the field or the others; the message says what would do.
            DivergenceError: the state stopped being finite, and `on_divergence` is "raise".
        """
        check_choice("save", save, get_args(Save))
        if truncate is not None:
            check_count("truncate", truncate)
        given = sequences_of(
            *(x, self.field),
            batch_first=self.batch_first,
            lengths=lengths,
            mask=mask,
            resets=resets,
            check_input=self.check_input,
        )
        continues = isinstance(y0, RecurrentState)
        options = Options(Timing(dt, timestamps), save, truncate, continues)
        output, state = given.run(self, given.samples, self._start(y0, given), options)
        output = None if output is None else given.give(output)
        if continues:
            return output, state
        return output, state.y.unsqueeze(0) if given.batched else state.y

    @overload
    def step(self, x: Tensor, state: Tensor, *, dt: Step | None = None) -> tuple[Tensor, Tensor]: ...

    @overload
    def step(
        self, x: Tensor, state: RecurrentState | None = None, *, dt: Step | None = None
    ) -> tuple[Tensor, RecurrentState]: ...

    def step(
        self, x: Tensor, state: Tensor | RecurrentState | None = None, *, dt: Step | None = None
    ) -> tuple[Tensor, Tensor | RecurrentState]:
        """Take one sample: streaming. The same numbers as `forward` over the whole sequence.

        Args:
            x: (batch, input), or (input,) unbatched.
            state: what the call before returned; None to start from zero. Or a tensor, as a cell takes it, (batch,
                hidden), unbatched (hidden,), from which a multi-step solver starts.
            dt: overrides the layer's dt for this sample, a number or a tensor of shape () or (batch, 1).

        Returns:
            The output (batch, hidden), unbatched (hidden,), and the state for the next call, which is the output if
            `state` was a tensor.

        Raises:
            TypeError, ValueError, DivergenceError: as `forward`.
        """
        samples = inputs.sample(x, self.field).unsqueeze(0)
        if self.check_input:
            inputs.check_finite_input(samples)
        before = inputs.cell_state(state, samples, self.field, self._made_by)
        before, step = steps(self.dt, Timing(dt), 1, before, True, self.on_divergence)
        _, after = self.advance(samples, before, step, "end", self.on_divergence)
        y = (after.y if x.ndim == 2 else after.y[0]).clone()
        return y, y if isinstance(state, Tensor) else after

    def initial_state(self, batch_size: int = 1) -> RecurrentState:
        """The zero state for `batch_size` sequences, to begin a chunked run with.

        Raises:
            TypeError, ValueError: `batch_size` is no whole number from 1.
        """
        check_count("batch_size", batch_size)
        like = next(self.field.parameters(), torch.empty(()))
        return RecurrentState(like.new_zeros(batch_size, self.field.hidden_size), as_tensor(0.0))

    def stream(self, state: RecurrentState | int = 1) -> Stream:
        """A running sequence that takes sample after sample without gradients, its weights built once, now.

        Args:
            state: where to begin, or for how many sequences to begin at zero.

        Raises:
            TypeError, ValueError: a state that does not fit the field, a number below 1, or a layer whose dt is given
                sample by sample.
        """
        if isinstance(state, int):
            check_count("state", state)
            state = self.initial_state(state)
        dt = self.dt.detach() if isinstance(self.dt, Tensor) else self.dt
        if isinstance(dt, Tensor) and dt.ndim:
            raise ValueError(
                f"the layer's `dt` is a tensor of shape {tuple(dt.shape)} and a stream has no end; make the layer "
                "with a number, or use `step`, which takes a dt a sample"
            )
        return Stream(
            Discretisation(self.field, self.hold, self.solver, float(dt), self.substeps),
            state,
            engine=self.engine,
            on_divergence=self.on_divergence,
            check_input=self.check_input,
        )

    def choice(self, x: Tensor) -> Choice:
        """Which engine and adjoint a call with `x` would take, and why."""
        samples = inputs.time_first(x, self.field, self.batch_first)
        state = RecurrentState(inputs.initial_state(None, samples, samples.shape[1], self.field, x.ndim == 3))
        times = time_grid(self.dt, state.t, samples.shape[0], state.y)
        with undisturbed(self.field, samples):
            problem = initial_value_problem(self.field, self.hold, self.solver, self.substeps, samples, state, times)
        return choice_of(on_engine(self.adjoint, self.engine), problem)

    def compile_kernels(self) -> None:
        """Build native kernels of a field of one's own, at once: half a minute or so, the first time on a machine.

        From then on the native engine runs this field, in any layer, as it runs a registered one: forward and back in
        C++, under explicit Runge-Kutta methods. It does so as long as nothing but the values of parameters and buffers
        changes in the field; a copy of it is without. A registered field has its kernels already.

        Raises:
            ValueError: the field's `pointwise` has no kernels; the message says which operator, or what else.
            NativeUnavailable: there is no compiler, or it fails.
        """
        compile_kernels(self.field)

    def with_solver(
        self, solver: Solver | str, *, substeps: int | None = None, hold: Hold | str | None = None
    ) -> ODERNN:
        """The same field, with the same parameters (shared, not copied), under another discretisation."""
        return ODERNN(
            self.field,
            solver,
            dt=self.dt,
            substeps=self.substeps if substeps is None else substeps,
            hold=self.hold if hold is None else hold,
            batch_first=self.batch_first,
            adjoint=self.adjoint,
            engine=self.engine,
            on_divergence=self.on_divergence,
            check_input=self.check_input,
        )

    @property
    def input_size(self) -> int:
        """Features of an input sample."""
        return self.field.input_size

    @property
    def hidden_size(self) -> int:
        """Units of the state."""
        return self.field.hidden_size

    def reset_parameters(self) -> None:
        """Draw the parameters of the field again, as at construction.

        Raises:
            NotImplementedError: the field does not say how.
        """
        self.field.reset_parameters()

    def flatten_parameters(self) -> None:
        """Nothing: there is no cuDNN buffer to lay the parameters out in. torch's modules have it."""

    def extra_repr(self) -> str:
        """The solver and the numbers of the discretisation."""
        dt = f"tensor{tuple(self.dt.shape)}" if isinstance(self.dt, Tensor) else self.dt
        return (
            f"solver={self.solver}, dt={dt}, substeps={self.substeps}, hold={self.hold}, "
            f"adjoint={self.adjoint}, engine={self.engine!r}"
        )

    def advance(
        self,
        samples: Float[Tensor, "time batch input"],
        state: RecurrentState,
        step: Step,
        save: Save,
        on_divergence: OnDivergence,
        prepared: Prepared | None = None,
    ) -> tuple[Tensor | None, RecurrentState]:
        """Step through checked samples, from which `forward` is made.

        Args:
            samples: all sequences have as many.
            state: before them.
            step: the steps.
            save: "trajectory" or "end".
            on_divergence: what to do when the state stops being finite.
            prepared: what this call has in common with others, of `prepared`.

        Returns:
            The trajectory or None, and the state at the end.
        """
        with self._built_weights(), without_autocast(state.y):
            times = time_grid(step, state.t, samples.shape[0], state.y)
            weight = None if prepared is None else prepared.weight
            problem = initial_value_problem(
                self.field, self.hold, self.solver, self.substeps, samples, state, times, weight
            )
            adjoint = on_engine(self.adjoint, self.engine)
            solved = adjoint.solve(problem, save) if prepared is None else prepared.solve(adjoint, problem, save)
            check_divergence(problem, solved, on_divergence)
            control = None if self.hold.jumps else problem.control(problem.given.samples[-1])
        after = RecurrentState(solved.y, as_tensor(times.end(samples.shape[0])), solved.carry, control, self._made_by)
        return solved.trajectory, after.without_aliases_of(state)

    def advance_together(
        self,
        samples: Float[Tensor, "places input"],
        storage: Storage,
        state: RecurrentState,
        step: float | Float[Tensor, ""] | Float[Tensor, " samples"],
        save: Save,
        prepared: Prepared,
    ) -> tuple[Float[Tensor, "places hidden"] | None, RecurrentState] | None:
        """Step through sequences of several lengths at once, each to its own end; what diverges is not looked for.

        Args:
            samples: in any order.
            storage: which of them those of each sequence are.
            state: before the first samples.
            step: one for all, or one for each sample in the storage's order.
            save: "trajectory" or "end".
            prepared: of `prepared`.

        Returns:
            The output, zero at places without a sample, or None, and the state at the end of each sequence; or None
            where the engine takes sequences of one length.
        """
        with self._built_weights(), without_autocast(state.y):
            problem = initial_value_problem(
                *(self.field, self.hold, self.solver, self.substeps, samples, state),
                *(grid_of_samples(step, state.t, len(storage.index), state.y), prepared.weight, storage),
            )
            choice = choice_of(on_engine(self.adjoint, self.engine), problem)
            if not choice.takes_lengths:
                return None
            solved = choice.adjoint.solve(problem, save)
            control = None if self.hold.jumps else problem.control(samples[storage.index[storage.ends]])
        t = end_of_each(step, state.t, storage.lengths, lambda: packed_samples(storage.lengths)[1])
        after = RecurrentState(solved.y, t, solved.carry, control, self._made_by)
        return solved.trajectory, after.without_aliases_of(state)

    def prepared(self) -> Prepared:
        """What several calls of `advance` have in common; not under an adjoint that makes steps again after a call."""
        if not isinstance(self.adjoint, Autograd | Auto):
            return Prepared(None)
        with self._built_weights(), without_autocast(next(self.field.parameters(), torch.empty(()))):
            return Prepared(built_weight(self.field))

    @property
    def may_run_together(self) -> bool:
        """Whether sequences of several lengths may go together: not where the field itself computes the control."""
        kernels = self.engine != "torch" and isinstance(self.adjoint, Auto | DiscreteAdjoint)
        return kernels and affine_control_of(self.field)[0] is not None

    @property
    def stands_still(self) -> bool:
        """Whether a step of the length zero leaves the state as it is, and hands nothing on."""
        return isinstance(self.solver, ExplicitRungeKutta) and self.hold.jumps  # the linear one divides by the length

    def _built_weights(self) -> AbstractContextManager[None]:
        """Where parametrised weights are built once a call; not under an adjoint that makes steps again after it."""
        return built_once(self.field, keeps_tape=isinstance(self.adjoint, Autograd | Auto))

    def _start(self, y0: Tensor | RecurrentState | None, given: Sequences) -> RecurrentState:
        """The state before the first samples, checked."""
        if isinstance(y0, RecurrentState):
            return inputs.continuing("y0", y0, given.batch, self.field, self._made_by)
        return RecurrentState(inputs.initial_state(y0, given.samples, given.batch, self.field, given.batched))
