"""A sequence as an initial value problem: the field, the hold and the samples laid out for the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from solvers import Solver
from solvers.extend import Inputs, Interval

from ..control.hold import Hold, controls
from ..control.time_grid import TimeGrid, time_spans
from ..engines.problem import RecurrentProblem
from ..engines.recurrence import Recurrence, Scheme
from ..fields.determinism import is_deterministic
from ..fields.field import AffinePointwiseField, VectorField, is_partitioned
from .returned import FirstValue, check_control, check_weight, looked_at
from .right_hand_side import make_right_hand_side
from .state import RecurrentState


class LayerInputs(NamedTuple):
    """The tensors that a sequence's problem is made of, in the order of `Problem.inputs`.

    Attributes:
        weight: K of an affine-pointwise field, or None.
        samples: x (time, batch, m).
        before: the control before the first sample (batch, U), or None.
        starts: the start of every interval, or None if the step is a number.
        lengths: the length of every interval, or None if the step is a number.
    """

    weight: Tensor | None
    samples: Tensor
    before: Tensor | None
    starts: Tensor | None
    lengths: Tensor | None


def initial_value_problem(
    field: VectorField,
    hold: Hold,
    solver: Solver,
    substeps: int,
    samples: Float[Tensor, "time batch input"],
    state: RecurrentState,
    times: TimeGrid,
) -> RecurrentProblem:
    """The problem of running `field` over `samples` from `state`; its weights are built here, once."""
    weight = field.weight() if isinstance(field, AffinePointwiseField) else None
    if weight is not None:
        check_weight(field, weight, state.y)
    scheme = _scheme(field, hold) if isinstance(field, AffinePointwiseField) else None

    def layout(given: Inputs, first: int, last: int, offset: int) -> Sequence[Interval]:
        inputs = _part(field, hold, LayerInputs(*given), first - offset)  # pyright: ignore[reportArgumentType]
        u = field.control(inputs.samples[first - offset : last - offset])
        intervals = time_spans(times, inputs.starts, inputs.lengths, first, last, offset)
        right_hand_side = make_right_hand_side(field, inputs.weight)
        if first == 0:
            check_control(field, u, inputs.samples[:last])
        held = controls(hold, u, inputs.before, intervals)
        sides = [right_hand_side(control) for control in held]
        if first == 0:
            sides[0] = looked_at(field, sides[0])
        return [Interval(f, span.t, span.dt) for f, span in zip(sides, intervals, strict=True)]

    def tensor_form(given: Inputs, first: int, last: int) -> Recurrence:
        inputs = _part(field, hold, LayerInputs(*given), first)  # pyright: ignore[reportArgumentType]
        assert scheme is not None
        assert inputs.weight is not None
        dt = times.dt if inputs.lengths is None else inputs.lengths[first:last]
        assert dt is not None
        return Recurrence(scheme, inputs.weight, inputs.samples[first:last], inputs.before, dt)

    return RecurrentProblem(
        solver,
        layout,
        LayerInputs(weight, samples, state.control, times.starts, times.lengths),
        (False, True, False, True, True),
        samples.shape[0],
        substeps,
        state.y,
        state.memory,
        parameters=tuple(field.parameters()),
        field=field,
        hold=hold,
        tensor_form=None if scheme is None else tensor_form,
        deterministic=is_deterministic(field),
        parameters_now=lambda: tuple(field.parameters()),
    )


def _part(field: VectorField, hold: Hold, inputs: LayerInputs, first: int) -> LayerInputs:
    """The inputs with the control before interval `first` in the place of that before the sequence."""
    if first == 0 or hold.jumps:
        return inputs
    return inputs._replace(before=field.control(inputs.samples[first - 1]))


def _scheme(field: AffinePointwiseField, hold: Hold) -> Scheme:
    return Scheme(
        pointwise=FirstValue(field.pointwise, f"{type(field).__name__}.pointwise", 0),
        control=field.control,
        between=hold.between,
        jumps=hold.jumps,
        partitioned=is_partitioned(field),
    )
