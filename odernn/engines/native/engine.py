"""The native engine as a value: which problems the C++ kernels run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from solvers import Adjoint

from ..engine import Advance, Engine
from ..operators import NATIVE
from ..problem import RecurrentProblem, Storage
from ..program import Call
from ..torch.discrete_adjoint import DiscreteAdjoint, parallel_method
from ..torch.recursion_operands import knows_recursion
from ..traced.operator import FieldOperator, why_no_field_operator
from . import build
from .chunk_recursion import run_backward
from .plan import Plan

WIDEST = 1024
"""Units up to which `auto` takes the native kernels.

Measured, forward and backward against the torch engine on two cores: 0.72, 0.60, 0.71 and 0.77 of its time at 512 units
and a batch of 1, 16, 128 and 512; 1.07, 0.68, 0.85 and 0.84 at 1,024; 1.5, 1.1 and 1.3 at 2,048 and a batch of 1, 16
and 128, where the weights lie in no cache that a core has to itself.
"""


@final
@dataclass(frozen=True)
class NativeEngine(Engine):
    """C++ kernels for the processor."""

    name: ClassVar[str] = "native"
    namespace: ClassVar[str] = NATIVE
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    decides_by_kind: ClassVar[bool] = True

    def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
        """Whatever `why_not` says of the state."""
        return why_not(problem.y0, asked=asked)

    def own_operator(self, problem: RecurrentProblem, *, asked: bool) -> Adjoint | str:
        """The kernels that were compiled for the field."""
        reason = why_no_field_operator(problem) or why_not(problem.y0, asked=asked)
        return FieldOperator() if reason is None else reason

    def in_parallel(self, problem: RecurrentProblem, adjoint: DiscreteAdjoint) -> tuple[DiscreteAdjoint, str] | str:
        """The kernel for what is sequential in the backward pass."""
        if not knows_recursion(parallel_method(problem)):
            return "the kernels' backward recursion does not know the method"
        return replace(adjoint, recursion=run_backward), "the kernels do the backward recursion"

    def takes(self, storage: Storage) -> bool:
        """All of them: rows join and leave."""
        return True

    def stream(self, y: Tensor, *, asked: bool) -> Callable[[Call], Advance] | str:
        """A plan, whose weights are packed once."""
        reason = why_not(y, asked=asked)
        return (lambda call: Plan(call).advance) if reason is None else reason


def why_not(y: Tensor, *, asked: bool) -> str | None:
    """Why the native kernels do not serve a state like `y`, or None; builds them if need be."""
    if y.device.type != "cpu" or y.dtype not in (torch.float32, torch.float64):
        return f"the kernels work on the CPU in float32 and float64, and the state is {y.dtype} on {y.device}"
    if not y.numel():
        return "the batch is empty"
    if not asked and y.shape[-1] > WIDEST:
        return f"beyond {WIDEST} units torch's matrix products win"
    return _why_unavailable()


def _why_unavailable() -> str | None:
    """Why the kernels cannot be loaded, or None; builds them if need be."""
    try:
        build.load()
    except build.NativeUnavailable as unavailable:
        return unavailable.reason
    return None


# What torch.compiler.assume_constant_result does, which would import the compiler and so a second's work.
_why_unavailable._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]
