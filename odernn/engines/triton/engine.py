"""The Triton engine as a value: which problems its kernels run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

from torch import Tensor

from ...fields.field import AffinePointwiseField
from ..engine import Engine
from ..method import Method
from ..operators import TRITON
from ..problem import RecurrentProblem, Storage
from ..program import Products
from ..scheme import outline
from ..torch.discrete_adjoint import DiscreteAdjoint, parallel_method
from ..torch.recursion_operands import knows_recursion
from .availability import residence, why_not
from .chunk_recursion import run_backward
from .field_forward import field_forward


@final
@dataclass(frozen=True)
class TritonEngine(Engine):
    """The loop over time in one kernel, forward and back, on CUDA devices."""

    name: ClassVar[str] = "triton"
    namespace: ClassVar[str] = TRITON
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    heeds_autocast: ClassVar[bool] = True

    def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
        """Whatever `why_not` says of state, method and size."""
        return why_not(*_sizes(problem))

    def account(self, problem: RecurrentProblem) -> str:
        """That they take it, and where K lies meanwhile."""
        return f"the kernels take field, method and state; {residence(*_sizes(problem))}"

    def in_parallel(self, problem: RecurrentProblem, adjoint: DiscreteAdjoint) -> tuple[DiscreteAdjoint, str] | str:
        """The forward pass by a kernel made of the field's `pointwise` where it can be traced, and the recursion."""
        if not knows_recursion(parallel_method(problem)):
            return "the kernels' backward recursion does not know the method"
        adjoint = replace(adjoint, recursion=run_backward)
        assert isinstance(problem.field, AffinePointwiseField)
        y0, _, groups, products = _sizes(problem)
        sizes = y0, parallel_method(problem), groups, products  # which may see more of K than the operators' method
        if (reason := why_not(*sizes)) is not None:
            return reason
        forward, where = field_forward(problem.field, problem.hold), residence(*sizes)
        if isinstance(forward, str):
            return adjoint, f"the kernels do the backward recursion; {forward}; {where}"
        return replace(adjoint, forward=forward), f"the kernels are made of the field's `pointwise`; {where}"

    def takes(self, storage: Storage) -> bool:
        """Where the rectangle that they run in is not much larger than what is in it.

        While torch traces, the lengths are not known, and it may be.
        """
        return storage.rows is not None or storage.fills_rectangle

    def takes_stacked(self, state: Tensor, method: Method, groups: int, products: Products) -> bool:
        """Whatever it runs of one network."""
        return why_not(state, method, groups, products) is None


def _sizes(problem: RecurrentProblem) -> tuple[Tensor, Method, int, Products]:
    """What it depends on whether and how the kernels run a problem."""
    weight = problem.inputs[0]
    assert weight is not None
    method, groups = outline(problem.field, problem.solver, problem.step, len(weight))
    return problem.y0, method, groups, problem.products
