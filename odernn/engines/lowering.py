"""A layer's problem as a call of a registered operator: which ones have such a form, and `Operator`, which runs it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Literal, Self, cast, final

import torch
from torch import Tensor

from solvers import Adjoint, Solver
from solvers.checks import unwrapped
from solvers.extend import Problem, Save, Solved

from ..control.hold import Hold, LinearHold, ZeroOrderHold
from ..control.input_map import AffineControl
from ..control.time_grid import as_tensor
from ..fields.field import ActivatedField, VectorField, activation_of, is_block_linear
from ..fields.overrides import why_slope_is_called
from .carried import Carried, carried_of, carry_of
from .kept_half import keeping
from .operators import NATIVE
from .problem import RecurrentProblem, Storage
from .program import Call, Kind, Operands, Products, Program, Squash
from .scheme import blocks_on_weight, method_on_weight, scheme_of, unsupported_scheme
from .torch.discrete_adjoint import at_samples

_NOTHING = Carried()


def unsupported(field: VectorField, hold: Hold, solver: Solver, dt: float | Tensor | None) -> str | None:
    """Why the operators do not take the three together, or None; `dt` is a number or has time first."""
    reason = why_slope_is_called(field, in_parts=solver.needs is not None or is_block_linear(field))
    if reason is not None:
        return f"there is no operator: {reason}"
    if hold_name(hold) is None:
        return f"there is no operator for {type(hold).__name__}"
    return unsupported_scheme(field, cast(ActivatedField, field).activation, solver, dt)


def misfit(field: VectorField, y0: Tensor, samples: Tensor, control: AffineControl) -> str | None:
    """Why the operators do not take the control that a field has computed, or None; `samples` are that control."""
    if control.weight is not None:
        return None
    activation = activation_of(field)
    assert activation is not None
    wanted = (samples.shape[0], len(y0), activation.controls * field.hidden_size)
    if tuple(samples.shape) != wanted or samples.dtype != y0.dtype or samples.device != y0.device:
        return f"there is no operator for a control of shape {tuple(samples.shape)} and {samples.dtype}"
    return None


def hold_name(hold: Hold) -> Literal["zero-order", "linear"] | None:
    """The hold as the operators know it, or None."""
    if isinstance(hold, ZeroOrderHold):
        return "zero-order"
    return "linear" if isinstance(hold, LinearHold) else None


def lower(
    field: VectorField,
    hold: Hold,
    solver: Solver,
    y0: Tensor,
    weight: Tensor,
    samples: Tensor,
    control: AffineControl,
    *,
    dt: float | Tensor,
    substeps: int,
    before: Tensor | None = None,
    carried: Carried = _NOTHING,
    storage: Storage | None = None,
    packed: bool = False,
    products: Products = "float32",
) -> Call:
    """A call of a field, a hold and a solver that the operators take together; the rest is as `Call` has it.

    The `control` is that of the samples.
    """
    activation, name = activation_of(field), hold_name(hold)
    assert activation is not None
    assert name is not None
    lowered = scheme_of(field, activation, solver, weight, dt, substeps)
    bias = control.bias
    if bias is None and control.weight is not None:
        bias = control.weight.new_zeros(len(control.weight))
    return Call(
        y0=y0.contiguous(),
        weight=lowered.weight.contiguous(),
        samples=samples.contiguous(),
        method=lowered.method,
        input_weight=None if control.weight is None else control.weight.contiguous(),
        bias=bias,
        kind=lowered.kind,  # pyright: ignore[reportArgumentType]
        squash=_squash(control),
        hold=name,
        dt=dt,
        substeps=substeps,
        before=None if before is None else before.contiguous(),
        carried=carried.vectors,
        coefficients=carried.coefficients,
        blocks=None if lowered.blocks is None else lowered.blocks.contiguous(),
        index=None if storage is None else storage.index,
        lengths=None if storage is None else storage.lengths,
        packed=packed,
        products=products,
        weight_blocks=lowered.weight_blocks,
    )


@final
@dataclass(frozen=True)
class Operator(Adjoint):
    """The exact discrete adjoint as a registered operator of one engine.

    It takes the fields made of a registered activation and an affine control, every explicit method that states its
    schemes, the exponential ones on blocks, and the two registered holds. A backward pass with `create_graph=True`
    makes the steps again under autograd. Inside autocast it works in float32, but for products on request.

    Args:
        namespace: the engine's operators in torch.ops.
        heeds_autocast: whether they take products as autocast asks.
        program: the text of the program of every problem that it will be given, as `for_kind_of` has it; None where it
            is to be made of each.
    """

    namespace: str
    heeds_autocast: bool = False
    program: str | None = field(default=None, repr=False, compare=False)

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run, keeping the states at the samples if they or gradients are wanted."""
        assert isinstance(problem, RecurrentProblem)
        if self.program is not None:
            return solved(problem, self.namespace, (*_operands(problem), self.program), save)
        span, weight = problem.span, problem.inputs[0]
        assert weight is not None
        call = lower(
            *(problem.field, problem.hold, problem.solver, problem.y0, weight, span.samples, problem.control),
            dt=steps_of(span.dt),
            before=span.before,
            substeps=problem.substeps,
            carried=carried_of(problem),
            storage=problem.storage,
            packed=problem.storage is not None and save == "end",
            products=self._products(problem),
        )
        call = keeping(call) if self.namespace == NATIVE and needs_gradient(call.operands) else call
        return solved(problem, self.namespace, call.arguments(), save)

    def for_kind_of(self, problem: RecurrentProblem) -> Self:
        """The operator for problems of the same `kind`, its program written where K goes to it as the field has it."""
        activation, hold = activation_of(problem.field), hold_name(problem.hold)
        assert activation is not None
        assert hold is not None
        method = method_on_weight(problem.field, problem.solver, problem.step)
        if method is None:
            return self
        program = Program(
            *(method, cast(Kind, activation.name), _squash(problem.control), hold, problem.substeps),
            products=self._products(problem),
            weight_blocks=blocks_on_weight(problem.field, method),
        )
        return replace(self, program=program.text)

    def _products(self, problem: RecurrentProblem) -> Products:
        return problem.products if self.heeds_autocast else "float32"


def _operands(problem: RecurrentProblem) -> Operands:
    """The tensors of a problem of one length whose control is read off its field, as `lower` puts them in a call."""
    span, control, weight = problem.span, problem.control, problem.inputs[0]
    assert control.weight is not None
    assert weight is not None
    bias, schemes = control.bias, problem.solver.schemes
    carries = schemes is not None and schemes.starters
    return Operands(
        *(problem.y0.contiguous(), weight.contiguous(), span.samples.contiguous(), control.weight.contiguous()),
        control.weight.new_zeros(len(control.weight)) if bias is None else bias,
        None if span.before is None else span.before.contiguous(),
        as_tensor(steps_of(span.dt) if isinstance(span.dt, Tensor) else span.dt),
        *(carried_of(problem) if carries else _NOTHING),
    )


def solved(problem: RecurrentProblem, namespace: str, arguments: tuple[Any, ...], save: Save) -> Solved:
    """The problem's solution by an engine's operator of the arguments that a call of it has."""
    kept = save == "trajectory" or needs_gradient(arguments)
    saved, last, others, _ = getattr(torch.ops, namespace).solve(*arguments, kept)
    schemes = problem.solver.schemes
    if schemes is None or not schemes.starters:
        return Solved(saved if save == "trajectory" else None, last, problem.carry or ())
    trajectory = at_samples(saved, problem.substeps) if save == "trajectory" else None
    return Solved(trajectory, last, carry_of(problem, others))


def needs_gradient(arguments: tuple[object, ...]) -> bool:
    """Whether a gradient may be asked for of what the operator returns."""
    if not torch.is_grad_enabled():
        return False
    tensors = [each for each in arguments if isinstance(each, Tensor)]
    return any(map(attrgetter("requires_grad"), map(unwrapped, tensors)))


def steps_of(dt: float | Tensor) -> float | Tensor:
    """The steps of a `Span` as the operators take them: a number, (time,), (batch, time) or (samples,)."""
    if not isinstance(dt, Tensor):
        return dt
    if dt.ndim == 2:
        return dt.flatten()
    flat = dt.reshape(dt.shape[0], -1)
    return (flat[:, 0] if flat.shape[1] == 1 else flat.T).contiguous()


def _squash(control: AffineControl) -> Squash:
    return "tanh" if control.squashed else "identity"
