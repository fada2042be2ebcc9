"""Engines: what executes a layer. `torch` runs anywhere, `native` on the processor, `triton` on GPUs, `auto` picks."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, final

import torch
from torch import Tensor

import solvers
from solvers import Adjoint, Autograd, Checkpointed
from solvers.extend import Problem, Save, Solved, mapped, refuse_transforms, transformed

from ..fields.field import AffinePointwiseField
from . import native, triton
from .adjoint import Operator
from .lowering import misfit, unsupported
from .native.chunk_recursion import run_backward
from .operators import NATIVE, TORCH, TRITON
from .problem import RecurrentProblem, Storage
from .scheme import outline
from .torch.discrete_adjoint import DiscreteAdjoint, parallel_method, supports_parallel
from .torch.recursion_operands import knows_recursion
from .torch.scanned import Scanned, scans
from .torch.sweep import forward, one_by_one
from .traced.operator import FieldOperator, why_no_field_operator
from .warning import EngineWarning

Engine = Literal["auto", "torch", "native", "triton"]
ENGINES: tuple[Engine, ...] = ("auto", "torch", "native", "triton")
WIDEST = 1024
"""Units up to which `auto` takes the native kernels.

Measured, forward and backward against the torch engine on two cores: 0.72, 0.60, 0.71 and 0.77 of its time at 512 units
and a batch of 1, 16, 128 and 512; 1.07, 0.68, 0.85 and 0.84 at 1,024; 1.5, 1.1 and 1.3 at 2,048 and a batch of 1, 16
and 128, where the weights lie in no cache that a core has to itself.
"""

LARGEST_RECTANGLE = 4
"""Times as many places as samples, that sequences of several lengths may take of the memory of a GPU."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """What executes a call.

    Attributes:
        engine: "torch", "native" or "triton".
        adjoint: how gradients flow: `Operator`, a registered operator with the exact discrete adjoint;
            `DiscreteAdjoint`, the same for any affine-pointwise field; or `Autograd`.
        reason: why, in a sentence.
    """

    engine: Literal["torch", "native", "triton"]
    adjoint: Adjoint
    reason: str

    def takes(self, storage: Storage) -> bool:
        """Whether these sequences of several lengths go in one call.

        The Triton kernels run them in a rectangle, which must not be much larger than what is in it; while torch
        traces, which knows no lengths, it may be.
        """
        if self.engine == "torch" or not isinstance(self.adjoint, Operator | FieldOperator):
            return False
        if self.engine == "native" or storage.rows is not None:
            return True
        return int(storage.lengths[0]) * len(storage.lengths) <= LARGEST_RECTANGLE * len(storage.index)


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


def on_engine(adjoint: Adjoint, engine: Engine) -> Adjoint:
    """The adjoint that runs on the engine.

    Raises:
        ValueError: the native or the Triton engine with an adjoint that it does not execute.
    """
    if isinstance(adjoint, Auto | DiscreteAdjoint):
        return OnEngine(adjoint, engine)
    if isinstance(adjoint, Checkpointed) and isinstance(adjoint.within, Auto | DiscreteAdjoint):
        return replace(adjoint, within=OnEngine(adjoint.within, engine))
    if engine in ("auto", "torch"):
        return adjoint
    raise ValueError(
        f"`engine` is '{engine}' and `adjoint` {adjoint}; it executes the exact discrete adjoint: give "
        "'auto', 'discrete' or Checkpointed(within=DiscreteAdjoint()), or take the torch engine"
    )


@final
@dataclass(frozen=True)
class OnEngine(Adjoint):
    """The exact discrete adjoint on an engine.

    Args:
        adjoint: `Auto` or `DiscreteAdjoint`; with `Auto` a problem that has no parallel form, and one under a transform
            of torch.func, goes by `Autograd`.
        engine: the engine that was asked for.
    """

    adjoint: Auto | DiscreteAdjoint
    engine: Engine

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run what `choose` says."""
        choice = self.choose(problem)
        if not torch.compiler.is_compiling():
            self._tell(choice)
        return choice.adjoint.solve(problem, save)

    def choose(self, problem: Problem) -> Choice:
        """What runs the problem."""
        if transformed(problem):
            stacked = self._of_stacked_weights(problem)
            if stacked is None and isinstance(self.adjoint, DiscreteAdjoint):
                refuse_transforms("discrete", problem)
            return stacked or Choice("torch", Autograd(), _TRANSFORMED)
        if not problem.y0.numel():
            return Choice("torch", Autograd(), "the batch is empty")
        if torch.compiler.is_compiling() and torch.onnx.is_in_onnx_export():
            return Choice("torch", Scanned() if scans(problem) else Autograd(), "ONNX knows torch's own operators only")
        if self.engine in ("auto", "torch") and isinstance(self.adjoint, Auto) and problem.length == 1:
            return Choice("torch", Autograd(), "for a single sample there is nothing to gain")
        if not isinstance(problem, RecurrentProblem):
            return Choice("torch", self._without_parallel(), "the problem is not a layer's")
        missing = unsupported(problem.field, problem.hold, problem.solver, problem.step)
        if missing is None and problem.called is not None:
            missing = misfit(problem.field, problem.y0, problem.given.samples, problem.control)
        if missing is not None:
            return self._without_operator(problem, missing)
        kernels, reason = self._kernels(problem)
        if kernels is None:
            return Choice("torch", _ON_TORCH, _with_control(problem, reason))
        adjoint = _ON_TRITON if kernels == "triton" else _ON_NATIVE
        return Choice(kernels, adjoint, _with_control(problem, "the kernels take field, method and state"))

    def _of_stacked_weights(self, problem: Problem) -> Choice | None:
        """The kernels, where nothing but vmap over the weights is at work: networks of one architecture at once."""
        if not isinstance(problem, RecurrentProblem) or not problem.y0.numel() or problem.length == 1:
            return None
        weight = problem.inputs[0]
        if weight is None or not mapped(weight) or problem.called is not None:
            return None
        if unsupported(problem.field, problem.hold, problem.solver, problem.step) is not None:
            return None
        kernels, _ = self._kernels(problem)
        if kernels is None:
            return None
        return Choice(kernels, _ON_TRITON if kernels == "triton" else _ON_NATIVE, "vmap maps over the weights")

    def _without_parallel(self) -> Adjoint:
        """What runs a problem that has no parallel form, or one that the compiler traces."""
        return Autograd() if isinstance(self.adjoint, Auto) else self.adjoint

    def _tell(self, choice: Choice) -> None:
        _LOG.debug("engine %r: %s, %r: %s", self.engine, choice.engine, choice.adjoint, choice.reason)
        if self.engine in ("native", "triton") and choice.engine != self.engine:
            warn_of_torch(self.engine, choice.reason)

    def _without_operator(self, problem: RecurrentProblem, missing: str) -> Choice:
        """Any other field or method: by autograd, or in parallel with the engine's recursion."""
        if torch.compiler.is_compiling():
            return Choice("torch", self._without_parallel(), missing)
        of_field = self._of_field(problem)
        if of_field is None:
            return Choice("native", _OF_FIELD, "the kernels that were compiled for the field take method and state")
        missing = f"{missing}; {of_field}"
        if not supports_parallel(problem):
            picked, broken = self._without_parallel(), problem.why_not_parallel()
            return Choice("torch", picked, missing if broken is None else f"{missing}; not parallel in time: {broken}")
        picked = DiscreteAdjoint() if isinstance(self.adjoint, Auto) else self.adjoint
        kernels, reason = self._kernels(problem)
        if kernels is None:
            return Choice("torch", picked, f"{missing}, and {reason}")
        if not knows_recursion(parallel_method(problem)):
            return Choice("torch", picked, f"{missing}, and the kernels' backward recursion does not know the method")
        if kernels == "triton":
            return _with_triton(problem, picked, missing)
        picked = replace(picked, recursion=run_backward)
        return Choice("native", picked, f"{missing}; the kernels do the backward recursion")

    def _kernels(self, problem: RecurrentProblem) -> tuple[Literal["native", "triton"] | None, str]:
        """The engine whose kernels run the problem; or None, and why."""
        if self.engine == "triton" or (self.engine == "auto" and problem.y0.device.type == "cuda"):
            reason = self._why_not_triton(problem)
            return ("triton", "") if reason is None else (None, reason)
        reason = why_not_native(self.engine, problem.y0)
        return ("native", "") if reason is None else (None, reason)

    @staticmethod
    def _why_not_triton(problem: RecurrentProblem) -> str | None:
        """Why the Triton kernels do not run the problem, or None."""
        weight = problem.inputs[0]
        assert weight is not None
        method, groups = outline(problem.field, problem.solver, problem.step, len(weight))
        return triton.why_not(problem.y0, method, groups, problem.products)

    def _of_field(self, problem: RecurrentProblem) -> str | None:
        """Why the kernels that were compiled for the field do not run the problem, or None."""
        return why_no_field_operator(problem) or why_not_native(self.engine, problem.y0)


def _with_triton(problem: RecurrentProblem, picked: DiscreteAdjoint, missing: str) -> Choice:
    """The parallel form with the Triton kernels for what is sequential in it."""
    picked = replace(picked, recursion=triton.run_backward)
    assert isinstance(problem.field, AffinePointwiseField)
    forward = triton.field_forward(problem.field, problem.hold)
    if isinstance(forward, str):
        return Choice("triton", picked, f"{missing}; the kernels do the backward recursion; {forward}")
    return Choice("triton", replace(picked, forward=forward), "the kernels are made of the field's `pointwise`")


_TRANSFORMED = "a transform of torch.func or forward-mode differentiation is at work"
_ON_TORCH, _ON_NATIVE, _ON_TRITON, _OF_FIELD = Operator(TORCH), Operator(NATIVE), Operator(TRITON), FieldOperator()


def _with_control(problem: RecurrentProblem, reason: str) -> str:
    """The reason, and why the control comes from the field itself if it does."""
    return reason if problem.called is None else f"{reason}; torch computes the control: {problem.called}"


def why_not_native(engine: Engine, y: Tensor) -> str | None:
    """Why the native kernels do not serve a state like `y`, or None; builds them if need be."""
    if engine == "torch":
        return "it was asked for"
    if engine == "triton":
        return "the Triton kernels run whole sequences, not a sample at a time"
    if y.device.type != "cpu" or y.dtype not in (torch.float32, torch.float64):
        return f"the kernels work on the CPU in float32 and float64, and the state is {y.dtype} on {y.device}"
    if not y.numel():
        return "the batch is empty"
    if engine == "auto" and y.shape[-1] > WIDEST:
        return f"beyond {WIDEST} units torch's matrix products win"
    return _why_unavailable()


def warn_of_torch(engine: Engine, reason: str) -> None:
    """Say that an engine was asked for and cannot serve."""
    warnings.warn(f"the torch engine runs in place of the {engine} one: {reason}", EngineWarning, stacklevel=4)


def choice_of(adjoint: Adjoint, problem: Problem) -> Choice:
    """What runs the problem under an adjoint that `on_engine` made."""
    if isinstance(adjoint, OnEngine):
        return adjoint.choose(problem)
    if isinstance(adjoint, Checkpointed) and isinstance(adjoint.within, OnEngine):
        within = adjoint.within.choose(problem)
        return replace(within, adjoint=replace(adjoint, within=within.adjoint))
    return Choice("torch", adjoint, "it was asked for")


def _why_unavailable() -> str | None:
    """Why the kernels cannot be loaded, or None; builds them if need be."""
    try:
        native.load()
    except native.NativeUnavailable as unavailable:
        return unavailable.reason
    return None


# What torch.compiler.assume_constant_result does, which would import the compiler and so a second's work.
_why_unavailable._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


ADJOINTS: Mapping[str, type[Adjoint]] = MappingProxyType(
    {"auto": Auto, "discrete": DiscreteAdjoint} | dict(solvers.ADJOINTS)
)
"""The adjoints of a layer by name: those of any right-hand side, and the two that know samples and holds."""

torch.serialization.add_safe_globals([Auto, DiscreteAdjoint, forward, one_by_one])  # a checkpoint's hyperparameters
