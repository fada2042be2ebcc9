"""Integrator: the settings of a layer at one moment, and how checked samples are stepped through."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import Adjoint, Autograd, Need, Solver
from solvers.extend import OnDivergence, Save, autocast_dtype, check_divergence, without_autocast

from ..control.hold import Hold
from ..control.time_grid import Step, end_of_each, grid_of_samples, time_grid
from ..engines.choice import Auto, Choice, choice_of
from ..engines.engine import Engine
from ..engines.lowering import unsupported
from ..engines.problem import Storage
from ..engines.program import products_around
from ..engines.torch.discrete_adjoint import DiscreteAdjoint
from ..fields.contract import undisturbed
from ..fields.field import VectorField
from ..fields.overrides import affine_control_of, kind_of_field
from ..fields.parametrise import built_once
from .prepared import Prepared
from .problem import built_weight, initial_value_problem
from .state import RecurrentState
from .stepping import Discretisation


@final
@dataclass(frozen=True, slots=True)
class Integrator:
    """What runs sequences; the attributes are those of `ODERNN`.

    Attributes:
        runner: the adjoint on the engine, as `on_engine` makes it.
        made_by: what the states say that they are made by, the representation of the solver.
    """

    field: VectorField
    solver: Solver
    dt: Step
    substeps: int
    hold: Hold
    adjoint: Adjoint
    engine: Engine | str
    on_divergence: OnDivergence
    runner: Adjoint
    made_by: str

    def advance(
        self,
        samples: Float[Tensor, "time batch input"],
        state: RecurrentState,
        step: Step,
        save: Save,
        on_divergence: OnDivergence,
        prepared: Prepared | None = None,
    ) -> tuple[Tensor | None, RecurrentState]:
        """Step through checked samples.

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
        field_kind, half = kind_of_field(self.field), autocast_dtype(state.y)
        with (
            nullcontext() if field_kind is not None else self._built_weights(),  # no such field is parametrised
            nullcontext() if half is None else without_autocast(state.y),
        ):
            times = time_grid(step, state.t, samples.shape[0], state.y)
            problem = initial_value_problem(
                *(self.field, self.hold, self.solver, self.substeps, samples, state, times),
                weight=None if prepared is None else prepared.weight,
                products="bfloat16" if half == torch.bfloat16 else "float32",
                field_kind=field_kind,
            )
            runner = self.runner
            solved = runner.solve(problem, save) if prepared is None else prepared.solve(runner, problem, save)
            check_divergence(problem, solved, on_divergence)
            control = None if self.hold.jumps else problem.control(problem.given.samples[-1])
        after = RecurrentState(solved.y, times.end(samples.shape[0]), solved.carry, control, self.made_by)
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
        products = products_around(state.y)
        with self._built_weights(), without_autocast(state.y):
            problem = initial_value_problem(
                *(self.field, self.hold, self.solver, self.substeps, samples, state),
                *(grid_of_samples(step, state.t, len(storage.index), state.y), prepared.weight, storage, products),
            )
            choice = choice_of(self.runner, problem)
            if not choice.takes(storage) or self._starts_slowly:
                return None
            solved = choice.adjoint.solve(problem, save)
            control = None if self.hold.jumps else problem.control(samples[storage.index[storage.ends]])
        t = end_of_each(step, state.t, storage.lengths, storage.sequences)
        after = RecurrentState(solved.y, t, solved.carry, control, self.made_by)
        return solved.trajectory, after.without_aliases_of(state)

    def prepared(self, y: Float[Tensor, "batch hidden"]) -> Prepared:
        """What several calls of `advance` have in common; not under an adjoint that makes steps again after a call.

        Args:
            y: a state.
        """
        if not isinstance(self.adjoint, Autograd | Auto):
            return Prepared(None)
        with self._built_weights(), without_autocast(y):
            return Prepared(built_weight(self.field, y))

    def choice(self, samples: Float[Tensor, "time batch input"], state: RecurrentState) -> Choice:
        """Which engine and adjoint would run these samples, and why."""
        times = time_grid(self.dt, state.t, samples.shape[0], state.y)
        with undisturbed(self.field, samples):
            problem = initial_value_problem(
                *(self.field, self.hold, self.solver, self.substeps, samples, state, times),
                products=products_around(state.y),
                field_kind=kind_of_field(self.field),
            )
        return choice_of(self.runner, problem)

    def discretisation(self) -> Discretisation:
        """The field and how it is stepped, for a stream.

        Raises:
            ValueError: dt is given sample by sample, and a stream has no end.
        """
        dt = self.dt.detach() if isinstance(self.dt, Tensor) else self.dt
        if isinstance(dt, Tensor) and dt.ndim:
            raise ValueError(
                f"the layer's `dt` is a tensor of shape {tuple(dt.shape)} and a stream has no end; make the layer "
                "with a number, or use `step`, which takes a dt a sample"
            )
        return Discretisation(self.field, self.hold, self.solver, float(dt), self.substeps)

    @property
    def has_operator(self) -> bool:
        """Whether the engines' operators take field, hold, solver and step, and so use no kernels of the field."""
        step = self.dt
        if isinstance(step, Tensor):  # with time first
            step = step.T if step.ndim == 2 else step.reshape(-1)
        return unsupported(self.field, self.hold, self.solver, step) is None

    @property
    def may_run_together(self) -> bool:
        """Whether sequences of several lengths may go together: not where the field itself computes the control."""
        kernels = self.engine != "torch" and isinstance(self.adjoint, Auto | DiscreteAdjoint)
        return kernels and affine_control_of(self.field)[0] is not None

    @property
    def stands_still(self) -> bool:
        """Whether a step of the length zero leaves the state as it is, and hands nothing on."""
        schemes = self.solver.schemes
        one_step = schemes is not None and schemes.vectors == 1 and self.solver.needs in (None, Need.PARTITION)
        return one_step and self.hold.jumps  # the linear one divides by the length

    @property
    def _starts_slowly(self) -> bool:
        """Whether a sequence of one sample may end before the solver's method has started."""
        schemes = self.solver.schemes
        return schemes is not None and schemes.vectors > 2

    def _built_weights(self) -> AbstractContextManager[None]:
        """Where parametrised weights are built once, unless the adjoint makes steps again after the call."""
        return built_once(self.field, keeps_tape=isinstance(self.adjoint, Autograd | Auto))
