"""FieldOperator: a problem of a field that has kernels of its own, run as their operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from solvers import Adjoint
from solvers.extend import Problem, Save, Solved

from ...fields.field import AffinePointwiseField
from ..carried import carried_of
from ..kept_half import keeping
from ..lowering import hold_name, needs_gradient, solved, steps_of
from ..problem import RecurrentProblem
from ..program import Call
from ..scheme import MOST_STAGES, explicit_method
from ..weight_blocks import blocks_of
from .kernels import FieldKernels, kernels_of


def why_no_field_operator(problem: RecurrentProblem) -> str | None:
    """Why the kernels that were compiled for the field do not take the problem, or None where they do."""
    field, kernels = problem.field, kernels_of(problem.field)
    if kernels is None:
        return f"`compile_kernels` has built none for this {type(field).__name__} as it is"
    method = explicit_method(problem.solver, apart=False)
    if method is None or problem.solver.stages > MOST_STAGES:
        return f"the kernels of a field take explicit methods of {MOST_STAGES} stages at most"
    if method.moved and not kernels.halves:
        return "its `drift` and `kick` are not its `pointwise`"
    if (reason := problem.why_not_parallel()) is not None:
        return reason
    if hold_name(problem.hold) is None:
        return f"there is no operator for {type(problem.hold).__name__}"
    return _misfit(problem, kernels)


@final
@dataclass(frozen=True)
class FieldOperator(Adjoint):
    """The exact discrete adjoint as the registered operator that a field's own kernels are.

    A number of a unit, made of the parameters that `pointwise` reads, goes to the kernels as an entry of the control
    that no input moves.
    """

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run, keeping the states at the samples if they or gradients are wanted."""
        assert isinstance(problem, RecurrentProblem)
        kernels, weight = kernels_of(problem.field), problem.inputs[0]
        assert kernels is not None
        assert weight is not None
        call = _call(problem, kernels, weight, save)
        call = keeping(call) if needs_gradient(call.operands) else call
        return solved(problem, kernels.namespace, call.arguments(), save)


def _call(problem: RecurrentProblem, kernels: FieldKernels, weight: Tensor, save: Save) -> Call:
    span, control, field, solver = problem.span, problem.control, problem.field, problem.solver
    carried = carried_of(problem)
    name = hold_name(problem.hold)
    assert isinstance(field, AffinePointwiseField)
    method = explicit_method(solver, apart=False)
    assert method is not None
    assert name is not None
    numbers = kernels.numbers_of(field)
    flat = problem.y0.new_empty(0) if numbers is None else numbers.flatten()
    samples, v, b = span.samples, control.weight, control.bias
    if v is None:
        samples = _beside(samples, flat)
    else:
        b = v.new_zeros(len(v)) if b is None else b
        v, b = torch.cat((v, v.new_zeros(len(flat), v.shape[1]))), torch.cat((b, flat))
    return Call(
        y0=problem.y0.contiguous(),
        weight=weight.contiguous(),
        samples=samples.contiguous(),
        method=method,
        dt=steps_of(span.dt),
        input_weight=v,
        bias=b,
        kind="traced",
        hold=name,
        before=None if span.before is None else _beside(span.before, flat).contiguous(),
        substeps=problem.substeps,
        carried=carried.vectors,
        coefficients=carried.coefficients,
        index=None if problem.storage is None else problem.storage.index,
        lengths=None if problem.storage is None else problem.storage.lengths,
        packed=problem.storage is not None and save == "end",
        weight_blocks=blocks_of(field, weight),
    )


def _beside(control: Tensor, flat: Tensor) -> Tensor:
    """A control (..., U) with the numbers of the units after it."""
    return torch.cat((control, flat.expand(*control.shape[:-1], -1)), dim=-1) if len(flat) else control


def _misfit(problem: RecurrentProblem, kernels: FieldKernels) -> str | None:
    """Why the control or K is not what the kernels were made for, or None."""
    n, y0, weight, samples = problem.field.hidden_size, problem.y0, problem.inputs[0], problem.given.samples
    assert weight is not None
    if problem.control.squashed:
        return "the kernels of a field take no tanh of the control"
    controls = samples.shape[-1] if problem.control.weight is None else len(problem.control.weight)
    if (len(weight), controls) != (kernels.preactivations * n, kernels.controls * n):
        return "its control or its weight has another width than when its kernels were built"
    if samples.dtype != y0.dtype or weight.dtype != y0.dtype or samples.device != y0.device:
        return f"there is no operator for samples of {samples.dtype} and a state of {y0.dtype}"
    return None
