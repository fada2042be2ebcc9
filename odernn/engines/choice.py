"""What executes a call of a layer, and why."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import final

import torch

import solvers
from solvers import Adjoint, Autograd, Checkpointed, Solver
from solvers.extend import Problem, Save, Solved, mapped, refuse_transforms, transformed

from ..control.hold import Hold
from .engine import Engine
from .lowering import Operator, misfit, unsupported
from .problem import RecurrentProblem, Storage
from .registry import TORCH_ENGINE, candidates, name_of, why_none
from .torch.discrete_adjoint import DiscreteAdjoint, supports_parallel
from .torch.scanned import Scanned, scans
from .torch.sweep import forward, one_by_one
from .traced.operator import FieldOperator
from .warning import EngineWarning

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """What executes a call.

    Attributes:
        executor: the engine.
        adjoint: how gradients flow: `Operator`, a registered operator with the exact discrete adjoint;
            `DiscreteAdjoint`, the same for any affine-pointwise field; or `Autograd`.
        reason: why, in a sentence.
    """

    executor: Engine
    adjoint: Adjoint
    reason: str

    @property
    def engine(self) -> str:
        """The name of the engine: "torch", "native", "triton", or that of one's own."""
        return self.executor.name

    def takes(self, storage: Storage) -> bool:
        """Whether these sequences of several lengths go in one call."""
        return isinstance(self.adjoint, Operator | FieldOperator) and self.executor.takes(storage)


@final
@dataclass(frozen=True)
class Auto(Adjoint):
    """The exact adjoint that suits the problem: the discrete one where it is parallel in time, else `Autograd`.

    It never picks one that is inexact or that does the forward pass twice. A layer's engine decides what executes it,
    as `ODERNN.choice` says.
    """

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run on the engine that suits."""
        return OnEngine(self, "auto").solve(problem, save)


def on_engine(adjoint: Adjoint, engine: Engine | str) -> Adjoint:
    """The adjoint that runs on the engine.

    Raises:
        ValueError: an engine other than torch's with an adjoint that it does not execute.
    """
    if isinstance(adjoint, Auto | DiscreteAdjoint):
        return OnEngine(adjoint, engine)
    if isinstance(adjoint, Checkpointed) and isinstance(adjoint.within, Auto | DiscreteAdjoint):
        return replace(adjoint, within=OnEngine(adjoint.within, engine))
    if engine in ("auto", "torch"):
        return adjoint
    raise ValueError(
        f"`engine` is '{name_of(engine)}' and `adjoint` {adjoint}; it executes the exact discrete adjoint: give "
        "'auto', 'discrete' or Checkpointed(within=DiscreteAdjoint()), or take the torch engine"
    )


MOST_KNOWN = 16
"""How many kinds of problems an adjoint keeps its choice for; a layer has one or two."""


@final
@dataclass(frozen=True)
class OnEngine(Adjoint):
    """The exact discrete adjoint on an engine.

    Args:
        adjoint: `Auto` or `DiscreteAdjoint`; with `Auto` a problem that has no parallel form, and one under a transform
            of torch.func, goes by `Autograd`.
        engine: the engine that was asked for.

    It keeps its choice for a problem, and takes it for every other of the same `RecurrentProblem.kind`, if an operator
    runs the problem and all engines that are asked decide by the kind. A copy, or one that was pickled, chooses again.
    """

    adjoint: Auto | DiscreteAdjoint
    engine: Engine | str
    _known: dict[Hashable, tuple[Choice, Solver, Hold]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[type[OnEngine], tuple[object, ...]]:
        """Leave out what it keeps."""
        return type(self), (self.adjoint, self.engine)

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run what `choose` says."""
        choice = self.choose(problem)
        if not torch.compiler.is_compiling():
            if _LOG.isEnabledFor(logging.DEBUG):
                _LOG.debug("engine %r: %s, %r: %s", self.engine, choice.engine, choice.adjoint, choice.reason)
            if choice.executor is TORCH_ENGINE and self.engine not in ("auto", "torch"):
                warn_of_torch(self.engine, choice.reason)
        return choice.adjoint.solve(problem, save)

    def choose(self, problem: Problem) -> Choice:
        """What runs the problem."""
        if transformed(problem):
            stacked = self._of_stacked_weights(problem)
            if stacked is None and isinstance(self.adjoint, DiscreteAdjoint):
                refuse_transforms("discrete", problem)
            return stacked or _by_torch(Autograd(), _TRANSFORMED)
        if not problem.y0.numel():
            return _by_torch(Autograd(), "the batch is empty")
        if torch.compiler.is_compiling() and torch.onnx.is_in_onnx_export():
            return _by_torch(Scanned() if scans(problem) else Autograd(), "ONNX knows torch's own operators only")
        if self.engine in ("auto", "torch") and isinstance(self.adjoint, Auto) and problem.length == 1:
            return _by_torch(Autograd(), "for a single sample there is nothing to gain")
        if not isinstance(problem, RecurrentProblem):
            return _by_torch(self._without_parallel(), "the problem is not a layer's")
        kind = problem.kind
        if kind is None:
            return self._chosen(problem)
        known = self._known.get(kind)
        return self._kept(kind, problem) if known is None else known[0]

    def _kept(self, kind: Hashable, problem: RecurrentProblem) -> Choice:
        """The choice for a kind of problems, kept if it is that for all of them."""
        choice = self._chosen(problem)
        asked = candidates(self.engine, problem.y0.device.type)
        if not isinstance(choice.adjoint, Operator) or not all(each.decides_by_kind for each in asked):
            return choice
        choice = replace(choice, adjoint=choice.adjoint.for_kind_of(problem))
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[kind] = choice, problem.solver, problem.hold  # kept, as the kind has their identities
        return choice

    def _chosen(self, problem: RecurrentProblem) -> Choice:
        """What runs a problem that is not under a transform, whatever is kept."""
        missing = unsupported(problem.field, problem.hold, problem.solver, problem.step)
        if missing is None and problem.called is not None:
            missing = misfit(problem.field, problem.y0, problem.given.samples, problem.control)
        if missing is not None:
            return self._without_operator(problem, missing)
        engine, reason = self._executor(problem)
        reason = reason or engine.account(problem)
        if problem.called is not None:
            reason = f"{reason}; torch computes the control: {problem.called}"
        return Choice(engine, engine.operator, reason)

    def _of_stacked_weights(self, problem: Problem) -> Choice | None:
        """The kernels, where nothing but vmap over the weights is at work: networks of one architecture at once."""
        if not isinstance(problem, RecurrentProblem) or not problem.y0.numel() or problem.length == 1:
            return None
        weight = problem.inputs[0]
        if weight is None or not mapped(weight) or problem.called is not None:
            return None
        if unsupported(problem.field, problem.hold, problem.solver, problem.step) is not None:
            return None
        engine, _ = self._executor(problem)
        return None if engine is TORCH_ENGINE else Choice(engine, engine.operator, "vmap maps over the weights")

    def _without_parallel(self) -> Adjoint:
        """The adjoint of a problem that has no parallel form, or that the compiler traces."""
        return Autograd() if isinstance(self.adjoint, Auto) else self.adjoint

    def _without_operator(self, problem: RecurrentProblem, missing: str) -> Choice:
        """Any other field or method: by autograd, or in parallel with the engine's recursion."""
        if torch.compiler.is_compiling():
            return _by_torch(self._without_parallel(), missing)
        for each in candidates(self.engine, problem.y0.device.type):
            own = each.own_operator(problem, asked=self.engine != "auto")
            if isinstance(own, Adjoint):
                return Choice(each, own, "the kernels that were compiled for the field take method and state")
            missing = f"{missing}; {own}"
        if not supports_parallel(problem):
            picked, broken = self._without_parallel(), problem.why_not_parallel()
            return _by_torch(picked, missing if broken is None else f"{missing}; not parallel in time: {broken}")
        picked = DiscreteAdjoint() if isinstance(self.adjoint, Auto) else self.adjoint
        engine, reason = self._executor(problem)
        if engine is TORCH_ENGINE:
            return _by_torch(picked, f"{missing}, and {reason}")
        part = engine.in_parallel(problem, picked)
        if isinstance(part, str):
            return _by_torch(picked, f"{missing}, and {part}")
        picked, done = part
        return Choice(engine, picked, f"{missing}; {done}")

    def _executor(self, problem: RecurrentProblem) -> tuple[Engine, str]:
        """The engine that runs the problem, and of torch's why it is that one; "" of any other."""
        device = problem.y0.device.type
        refused = None
        for each in candidates(self.engine, device):
            refused = each.refusal(problem, asked=self.engine != "auto")
            if refused is None:
                return each, ""
        return TORCH_ENGINE, refused or why_none(self.engine, device)


def _by_torch(adjoint: Adjoint, reason: str) -> Choice:
    return Choice(TORCH_ENGINE, adjoint, reason)


_TRANSFORMED = "a transform of torch.func or forward-mode differentiation is at work"


def warn_of_torch(engine: Engine | str, reason: str) -> None:
    """Say that an engine was asked for and cannot serve."""
    warnings.warn(f"the torch engine runs in place of the {name_of(engine)} one: {reason}", EngineWarning, stacklevel=4)


def choice_of(adjoint: Adjoint, problem: Problem) -> Choice:
    """What runs the problem under an adjoint that `on_engine` made."""
    if isinstance(adjoint, OnEngine):
        return adjoint.choose(problem)
    if isinstance(adjoint, Checkpointed) and isinstance(adjoint.within, OnEngine):
        within = adjoint.within.choose(problem)
        return replace(within, adjoint=replace(adjoint, within=within.adjoint))
    return _by_torch(adjoint, "it was asked for")


ADJOINTS: Mapping[str, type[Adjoint]] = MappingProxyType(
    {"auto": Auto, "discrete": DiscreteAdjoint} | dict(solvers.ADJOINTS)
)
"""The adjoints of a layer by name: those of any right-hand side, and the two that know samples and holds."""

torch.serialization.add_safe_globals([Auto, DiscreteAdjoint, forward, one_by_one])  # a checkpoint's hyperparameters
