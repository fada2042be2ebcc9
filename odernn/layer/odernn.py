"""ODERNN: a recurrent layer that is a solver stepping a vector field through its input."""

from __future__ import annotations

from typing import Any, overload

from torch import Tensor

from solvers import Adjoint, Solver
from solvers.checks import check_count
from solvers.extend import OnDivergence

from ..control.hold import Hold
from ..control.time_grid import Step
from ..engines.choice import Choice
from ..engines.engine import Engine
from ..engines.traced.kernels import compile_kernels
from ..fields.field import VectorField
from .cell import take_step
from .inputs import time_first
from .integrator import Integrator
from .recurrent import RecurrentModule
from .sequences import Options, Sequences
from .settings import is_setting, store_setting
from .starts import initial_state, start_of, zero_state
from .state import RecurrentState
from .stream import Stream


class ODERNN(RecurrentModule[RecurrentState]):
    """A recurrent network: `solver` steps `field`, driven by the input, from sample to sample.

    Output n is the state after sample n, which drives the interval that ends there, so the network is causal. The
    shapes are those of a one-layer torch.nn.RNN, with y in place of the hidden state.

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
            in time, and "autograd" elsewhere.
        engine: what executes the exact discrete adjoint ("auto" and "discrete", or Checkpointed around them): "torch"
            on any device; "native", C++ kernels on the CPU, built at first use; "triton", kernels on a CUDA device; or
            "auto", which picks by device, dtype and size, as `choice` says; or an Engine of your own.
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
    engine: Engine | str
    on_divergence: OnDivergence
    check_input: bool
    _made_by: str
    _runner: Adjoint

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
        engine: Engine | str = "auto",
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
        """Set an attribute; a setting is checked and converted as at construction, and left as it was if refused."""
        if is_setting(name):
            store_setting(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def input_field(self) -> VectorField:
        """The field."""
        return self.field

    @property
    def checks_input(self) -> bool:
        """Whether an input that is not finite is refused."""
        return self.check_input

    def run(
        self, given: Sequences, y0: Tensor | RecurrentState | None, options: Options
    ) -> tuple[Tensor | None, Tensor | RecurrentState]:
        """Run over checked sequences, as `RecurrentModule` says."""
        samples = given.samples  # in the dtype of the parameters, where they are
        if y0 is None:
            start = RecurrentState(samples.new_zeros(given.batch, self.field.hidden_size))
        else:
            start = start_of("y0", y0, given, self.field, self._made_by)
        output, state = given.run(self.integrator(), samples, start, options)
        if options.continues:
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
        return take_step(self.integrator(), x, state, dt, check_input=self.check_input)

    def initial_state(self, batch_size: int = 1) -> RecurrentState:
        """The zero state for `batch_size` sequences, to begin a chunked run with.

        Raises:
            TypeError, ValueError: `batch_size` is not a whole number from 1.
        """
        check_count("batch_size", batch_size)
        return zero_state(self.field, batch_size)

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
        return Stream(
            *(self.integrator().discretisation(), state),
            engine=self.engine,
            on_divergence=self.on_divergence,
            check_input=self.check_input,
        )

    def choice(self, x: Tensor) -> Choice:
        """Which engine and adjoint a call with `x` would take, and why."""
        samples = time_first(x, self.field, self.batch_first)
        state = RecurrentState(initial_state(None, samples, samples.shape[1], self.field, x.ndim == 3))
        return self.integrator().choice(samples, state)

    def compile_kernels(self, *, wait: bool = True) -> None:
        """Build native kernels of a field of one's own: a quarter of a minute, the first time on a machine.

        From then on the native engine runs this field, in any layer, as it runs a registered one: forward and back in
        C++, under the explicit methods that it has operators for. It does so as long as nothing but the values of
        parameters and buffers changes in the field; a copy of it is without. Nothing is built where the engines have
        operators for the layer as it is, as they have for most registered fields and methods.

        Args:
            wait: build at once. False: a thread builds while the layer goes on in torch; the first call after that
                takes the kernels, or warns that there are none.

        Raises:
            ValueError: the field's `pointwise` has no kernels; the message says which operator, or what else.
            NativeUnavailable: there is no compiler, or it fails.
        """
        if not self.integrator().has_operator:
            compile_kernels(self.field, wait=wait)

    def with_solver(
        self, solver: Solver | str, *, substeps: int | None = None, hold: Hold | str | None = None
    ) -> ODERNN:
        """The same field, with the same parameters (shared, not copied), under another discretisation."""
        return ODERNN(
            *(self.field, solver),
            dt=self.dt,
            substeps=self.substeps if substeps is None else substeps,
            hold=self.hold if hold is None else hold,
            batch_first=self.batch_first,
            adjoint=self.adjoint,
            engine=self.engine,
            on_divergence=self.on_divergence,
            check_input=self.check_input,
        )

    def reset_parameters(self) -> None:
        """Draw the parameters of the field again, as at construction.

        Raises:
            NotImplementedError: the field does not say how.
        """
        self.field.reset_parameters()

    def extra_repr(self) -> str:
        """The solver and the numbers of the discretisation."""
        dt = f"tensor{tuple(self.dt.shape)}" if isinstance(self.dt, Tensor) else self.dt
        return (
            f"solver={self.solver}, dt={dt}, substeps={self.substeps}, hold={self.hold}, "
            f"adjoint={self.adjoint}, engine={self.engine!r}"
        )

    def integrator(self) -> Integrator:
        """The settings as they are now, and how they step through checked samples: what `forward` is made from."""
        return Integrator(
            *(self.field, self.solver, self.dt, self.substeps, self.hold),
            *(self.adjoint, self.engine, self.on_divergence, self._runner, self._made_by),
        )
