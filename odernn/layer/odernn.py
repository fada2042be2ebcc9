"""ODERNN: a recurrent layer that is a solver stepping a vector field through its input."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import get_args, overload

import torch
from jaxtyping import Float
from torch import Tensor, nn

from solvers import Adjoint, Autograd, Solver, make_adjoint
from solvers.checks import check_choice, check_count, check_flag, check_solver, check_tensor
from solvers.extend import POLICIES, OnDivergence, Save, check_divergence, check_requirements, without_autocast

from ..control.hold import Hold, as_hold
from ..control.time_grid import Step, check_step, steps_between, time_grid
from ..engines.choice import ADJOINTS, ENGINES, Auto, Choice, Engine, choice_of, on_engine
from ..fields.contract import undisturbed
from ..fields.field import VectorField
from . import inputs
from .problem import initial_value_problem
from .right_hand_side import make_right_hand_side
from .state import RecurrentState
from .stream import Stream


class ODERNN(nn.Module):
    """A recurrent network: `solver` steps `field`, driven by the input, from sample to sample.

    Output n is the state after sample n. Sample n drives the interval that ends there, so the network is causal.
    The shapes are those of a one-layer torch.nn.RNN, with y in the place of the hidden state.

    Args:
        field: dy/dt = f(t, y, u), a module with the parameters.
        solver: the discretisation; Euler gives the paper's network.
        dt: the time from one sample to the next, in the units of 1 / damping: a number or a tensor of shape (),
            (time,) or (batch, time). It can be given anew in every call.
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

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or a solver that needs a structure that
            the field does not have; the message says what would do.
    """

    def __init__(
        self,
        field: VectorField,
        solver: Solver,
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
        if not isinstance(field, VectorField):
            raise TypeError(
                f"`field` is {type(field).__name__}; give a VectorField, such as AntisymmetricField(1, 128)"
            )
        check_solver(solver)
        check_step(dt)
        check_count("substeps", substeps)
        check_flag("batch_first", batch_first)
        check_choice("on_divergence", on_divergence, POLICIES)
        check_flag("check_input", check_input)
        check_choice("engine", engine, ENGINES)
        self.field = field
        self.solver = solver
        self.substeps = substeps
        self.hold = as_hold(hold)
        self.batch_first = batch_first
        self.adjoint = make_adjoint(adjoint, ADJOINTS)
        self.engine: Engine = engine
        self.on_divergence: OnDivergence = on_divergence
        self.check_input = check_input
        self.dt: Step
        if isinstance(dt, Tensor):
            self.register_buffer("dt", dt, persistent=False)
        else:
            self.dt = float(dt)
        self._check_structure()
        on_engine(self.adjoint, engine)

    @overload
    def forward(
        self,
        x: Tensor,
        y0: Tensor | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
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
        save: Save = "trajectory",
    ) -> tuple[Tensor | None, RecurrentState]: ...

    def forward(
        self,
        x: Tensor,
        y0: Tensor | RecurrentState | None = None,
        *,
        dt: Step | None = None,
        timestamps: Tensor | None = None,
        save: Save = "trajectory",
    ) -> tuple[Tensor | None, Tensor | RecurrentState]:
        """Run the network over a sequence.

        Args:
            x: (time, batch, input), or (batch, time, input) if `batch_first`, or (time, input) unbatched.
            y0: the state before the first sample, (1, batch, hidden), unbatched (1, hidden); zero if None. Or the
                RecurrentState of the chunk before, which carries the solver's memory, the time and the hold too:
                then any split of a sequence gives the same output. A tensor restarts a multi-step solver.
            dt: overrides the layer's dt in this call.
            timestamps: the times of the samples instead of steps, (time,) or (batch, time), increasing. The interval
                before the first sample runs from the time of `y0` if that is a RecurrentState; otherwise it is the
                layer's dt, which must be a number then.
            save: "trajectory" for the output at every sample, "end" for the last state alone.

        Returns:
            (output, y_n): output as x with `hidden` in the place of `input`, or None if only the end was asked;
            y_n like y0: a tensor, or a RecurrentState if y0 was one.

        Raises:
            TypeError, ValueError: an argument does not fit the field or the others; the message says what would do.
            DivergenceError: the state stopped being finite, and `on_divergence` is "raise".
        """
        check_choice("save", save, get_args(Save))
        samples = inputs.time_first(x, self.field, self.batch_first)
        if self.check_input:
            inputs.check_finite_input(samples)
        batched = x.ndim == 3
        if isinstance(y0, RecurrentState):
            inputs.check_continuing(y0.y, samples.shape[1], self.field)
            state = y0
        else:
            state = RecurrentState(inputs.initial_state(y0, samples, self.field, batched))
        if timestamps is not None:
            state, dt = self._by_timestamps(timestamps, state, dt, isinstance(y0, RecurrentState))
        trajectory, state = self._run(samples, state, dt, save)
        output = None if trajectory is None else self._layout(trajectory, batched)
        if isinstance(y0, RecurrentState):
            return output, state
        return output, state.y.unsqueeze(0) if batched else state.y

    def step(
        self, x: Tensor, state: RecurrentState | None = None, *, dt: Step | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Take one sample: streaming. The same numbers as `forward` over the whole sequence.

        Args:
            x: (batch, input), or (input,) unbatched.
            state: what the call before returned; None to start from zero.
            dt: overrides the layer's dt for this sample, a number or a tensor of shape () or (batch, 1).

        Returns:
            The output (batch, hidden), unbatched (hidden,), and the state for the next call.

        Raises:
            TypeError, ValueError, DivergenceError: as `forward`.
        """
        samples = inputs.sample(x, self.field).unsqueeze(0)
        if self.check_input:
            inputs.check_finite_input(samples)
        if state is None:
            state = RecurrentState(inputs.initial_state(None, samples, self.field, batched=True))
        inputs.check_continuing(state.y, samples.shape[1], self.field)
        _, state = self._run(samples, state, dt, "end")
        return (state.y if x.ndim == 2 else state.y[0]), state

    def initial_state(self, batch_size: int = 1) -> RecurrentState:
        """The zero state for `batch_size` sequences, to begin a chunked run with.

        Raises:
            TypeError, ValueError: `batch_size` is no whole number from 1.
        """
        check_count("batch_size", batch_size)
        like = next(self.field.parameters(), torch.empty(()))
        return RecurrentState(like.new_zeros(batch_size, self.field.hidden_size))

    def stream(self, state: RecurrentState | int = 1) -> Stream:
        """A running sequence that takes sample after sample without gradients, its weights built once, now.

        Args:
            state: where to begin, or for how many sequences to begin at zero.

        Raises:
            TypeError, ValueError: a state that does not fit the field, a number below 1, or a layer whose dt is given
                sample by sample.
        """
        return Stream(self, state if isinstance(state, RecurrentState) else self.initial_state(state))

    def choice(self, x: Tensor) -> Choice:
        """Which engine and adjoint a call with `x` would take, and why."""
        samples = inputs.time_first(x, self.field, self.batch_first)
        state = RecurrentState(inputs.initial_state(None, samples, self.field, x.ndim == 3))
        times = time_grid(self.dt, state.t, samples.shape[0], state.y)
        with undisturbed(self.field, samples):
            problem = initial_value_problem(self.field, self.hold, self.solver, self.substeps, samples, state, times)
        return choice_of(on_engine(self.adjoint, self.engine), problem)

    def with_solver(self, solver: Solver, *, substeps: int | None = None, hold: Hold | str | None = None) -> ODERNN:
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

    def extra_repr(self) -> str:
        """The solver and the numbers of the discretisation."""
        dt = f"tensor{tuple(self.dt.shape)}" if isinstance(self.dt, Tensor) else self.dt
        return (
            f"solver={self.solver}, dt={dt}, substeps={self.substeps}, hold={self.hold}, "
            f"adjoint={self.adjoint}, engine={self.engine!r}"
        )

    def _run(
        self, samples: Float[Tensor, "time batch input"], state: RecurrentState, dt: Step | None, save: Save
    ) -> tuple[Tensor | None, RecurrentState]:
        """Step through checked samples; (the trajectory or None, the state at the end)."""
        if dt is not None:
            check_step(dt)
        step = self.dt if dt is None else dt
        with self._built_weights(), without_autocast(state.y):
            times = time_grid(step, state.t, samples.shape[0], state.y)
            problem = initial_value_problem(self.field, self.hold, self.solver, self.substeps, samples, state, times)
            solved = on_engine(self.adjoint, self.engine).solve(problem, save)
            check_divergence(problem, solved, self.on_divergence)
            control = None if self.hold.jumps else problem.control(problem.given.samples[-1])
        return solved.trajectory, RecurrentState(solved.y, times.end(samples.shape[0]), solved.memory, control)

    def _built_weights(self) -> AbstractContextManager[None]:
        """Where parametrised weights are built once a call; not under an adjoint that makes steps again after it."""
        keeps_tape = isinstance(self.adjoint, Autograd | Auto)
        return nn.utils.parametrize.cached() if keeps_tape else nullcontext()

    def _by_timestamps(
        self, timestamps: Tensor, state: RecurrentState, dt: Step | None, continuing: bool
    ) -> tuple[RecurrentState, Tensor]:
        """The state with its time, and the steps."""
        if dt is not None:
            raise ValueError("`dt` and `timestamps` are both given; give one of them")
        if not continuing:
            if isinstance(self.dt, Tensor):
                raise ValueError(
                    "`timestamps` without a RecurrentState leaves the time before the first sample to the layer's "
                    "`dt`, which is a tensor; make the layer with a number"
                )
            check_tensor("timestamps", timestamps)
            state = replace(state, t=timestamps[..., :1] - self.dt)
        return state, steps_between(timestamps, state.t)

    def _layout(self, trajectory: Float[Tensor, "time batch hidden"], batched: bool) -> Tensor:
        if not batched:
            return trajectory.squeeze(1)
        return trajectory.transpose(0, 1) if self.batch_first else trajectory

    def _check_structure(self) -> None:
        """The solver's needs against what the field declares, before any data is there."""
        state = torch.empty(1, self.field.hidden_size, device="meta")
        structure = make_right_hand_side(self.field, None, elementwise=True)(lambda t: state)
        check_requirements(self.solver, structure, state, type(self.field).__name__)
