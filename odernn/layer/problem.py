"""A sequence as an initial value problem: the field, the hold and the samples, as the loop takes them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import Solver
from solvers.extend import Inputs, Interval, RightHandSide

from ..control.hold import Hold, controls
from ..control.input_map import GIVEN
from ..control.time_grid import TimeGrid, time_spans
from ..engines.problem import LayerInputs, RecurrentProblem, Storage
from ..engines.program import Products
from ..fields.field import AffinePointwiseField, VectorField
from ..fields.overrides import affine_control_of
from .returned import FirstValue, check_control, looked_at
from .right_hand_side import is_elementwise, make_right_hand_side
from .state import RecurrentState


def built_weight(field: VectorField, y: Float[Tensor, "batch hidden"]) -> Tensor | None:
    """K of an affine-pointwise field, a tensor (a multiple of hidden, hidden) like the state; None of another field.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if not isinstance(field, AffinePointwiseField):
        return None
    weight, n, name = field.weight(), field.hidden_size, f"{type(field).__name__}.weight"
    if not isinstance(weight, Tensor):
        raise TypeError(f"`{name}` returned {type(weight).__name__}; it returns K, a torch.Tensor")
    if weight.ndim != 2 or weight.shape[1] != n or not len(weight) or len(weight) % n:
        raise ValueError(f"`{name}` returned shape {tuple(weight.shape)}; it returns K, (a multiple of {n}, {n})")
    for fact in ("dtype", "device"):
        got, wanted = getattr(weight, fact), getattr(y, fact)
        if got != wanted:
            raise ValueError(f"`{name}` returned {fact} {got} and the state has {fact} {wanted}")
    return weight


def initial_value_problem(
    field: VectorField,
    hold: Hold,
    solver: Solver,
    substeps: int,
    samples: Float[Tensor, "time batch input"],
    state: RecurrentState,
    times: TimeGrid,
    weight: Tensor | None = None,
    storage: Storage | None = None,
    products: Products = "float32",
    field_kind: Hashable | None = None,
) -> RecurrentProblem:
    """The problem of running `field` over `samples` from `state`; of a storage they are (places, input).

    The weights are built here, once, unless they are given, as for the pieces of one call. A control that only the
    field itself can compute is computed here too, once, for all samples; a registered one is left to the engine, which
    makes it piece by piece. `field_kind` is what `kind_of_field` says of
    the field, where the caller has asked.
    """
    weight = built_weight(field, state.y) if weight is None else weight
    if field_kind is None:
        control, called = affine_control_of(field)
    else:
        control, called = field.affine_control(), None  # pyright: ignore[reportCallIssue]
    if control is None or torch.onnx.is_in_onnx_export():  # there no engine makes it, and a loop holds no product
        u = field.control(samples)
        check_control(field, u, samples)
        control, samples, field_kind = GIVEN, u, None

    def layout(given: Inputs, first: int, last: int, offset: int) -> Sequence[Interval]:
        inputs = LayerInputs(*given)  # pyright: ignore[reportArgumentType]
        before = inputs.before
        if first > offset and not hold.jumps:
            before = control(inputs.samples[first - offset - 1])
        u = control(inputs.samples[first - offset : last - offset])
        intervals = time_spans(times, inputs.starts, inputs.lengths, first, last, offset)
        elementwise = is_elementwise(field, solver, inputs.weight, u.shape[-1])
        right_hand_side = make_right_hand_side(field, inputs.weight, elementwise=elementwise)
        held = controls(hold, u, before, intervals)
        sides: list[RightHandSide] = [right_hand_side(each) for each in held]
        if first == 0:
            sides[0] = looked_at(field, sides[0])
        return [Interval(f, span.t, span.dt) for f, span in zip(sides, intervals, strict=True)]

    return RecurrentProblem(
        solver,
        layout,
        LayerInputs(weight, samples, state.control, times.starts, times.lengths),
        (False, True, False, True, True),
        samples.shape[0] if storage is None else len(storage.index),
        substeps,
        state.y,
        state.carry,
        parameters=lambda: tuple(field.parameters()),
        roots=(field,),
        field=field,
        hold=hold,
        control=control,
        called=called,
        pointwise=lambda pointwise: FirstValue(pointwise, f"{type(field).__name__}.pointwise", 0),
        dt=times.dt,
        storage=storage,
        products=products,
        field_kind=field_kind,
    )
