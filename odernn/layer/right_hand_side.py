"""A field with its weights built, closed over the control: what a solver steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor

from solvers import AffinePointwise, Partition, Semilinear, Solver, Structured
from solvers.extend import RightHandSide, Time, time_tensor

from ..control.hold import Control
from ..fields.contract import broken_promise
from ..fields.field import (
    AffinePointwiseField,
    DampedPartitionedField,
    PartitionedField,
    SemilinearField,
    VectorField,
    is_damped_partitioned,
    is_partitioned,
)
from ..fields.noise import NoisyField
from ..fields.overrides import is_affine, why_slope_is_called

RightHandSideMaker = Callable[[Control], Structured]
"""From the control of an interval to the right-hand side f(t, y) there."""


def make_right_hand_side(field: VectorField, weight: Tensor | None, *, elementwise: bool) -> RightHandSideMaker:
    """What makes a right-hand side of a control, with the structure that `field` declares.

    Args:
        field: the field.
        weight: K of an affine-pointwise field, built once a call; None for another field.
        elementwise: whether an affine-pointwise field may declare that its units are apart.
    """
    if isinstance(field, NoisyField):
        return _noisy(field, elementwise=elementwise)
    affine, plain = None, partial(_plain, field)
    if weight is not None and is_affine(field):
        assert isinstance(field, AffinePointwiseField)
        affine = make_affine_right_hand_side(field, weight)
    partition = _partition(field)
    semilinear = _semilinear(field) if isinstance(field, SemilinearField) else None

    def make(control: Control) -> Structured:
        whole = None if affine is None else affine(control)
        return Structured(
            plain(control) if whole is None else whole,
            partition=None if partition is None else partition(control),
            semilinear=None if semilinear is None else semilinear(control),
            affine=whole if elementwise else None,
        )

    return make


def _noisy(field: NoisyField, *, elementwise: bool) -> RightHandSideMaker:
    drift = field.field
    weight = drift.weight() if isinstance(drift, AffinePointwiseField) else None
    make = make_right_hand_side(drift, weight, elementwise=elementwise)
    diffusion = field.diffusion()
    return lambda control: replace(make(control), diffusion=diffusion)


def is_elementwise(field: VectorField, solver: Solver, weight: Tensor | None, controls: int) -> bool:
    """Whether the units of a field are apart, as far as the solver makes use of that.

    Args:
        field: the field.
        solver: an implicit one takes derivatives unit by unit.
        weight: K of an affine-pointwise field, or None.
        controls: entries of the control.
    """
    if weight is None or solver.schemes is not None or why_slope_is_called(field, in_parts=False) is None:
        return True
    assert isinstance(field, AffinePointwiseField)
    return broken_promise(field, weight, controls, weight) is None


def make_affine_right_hand_side(field: AffinePointwiseField, weight: Tensor) -> Callable[[Control], AffinePointwise]:
    """What makes a right-hand side of a control with that structure only, for a solver that needs no other."""
    pointwise = field.pointwise
    return lambda control: AffinePointwise(weight, lambda t, y, p: pointwise(y, p, control(t)))


def _plain(field: VectorField, control: Control) -> RightHandSide:
    return lambda t, y: field(time_tensor(t, y), y, control(t))


def _semilinear(field: SemilinearField) -> Callable[[Control], Semilinear]:
    linear, remainder = field.semilinear()
    return lambda control: Semilinear(linear, lambda t, y: remainder(time_tensor(t, y), y, control(t)))


def _partition(field: VectorField) -> Callable[[Control], Partition] | None:
    """What makes the partition that the field declares, or None."""
    if is_damped_partitioned(field):
        return _damped_partition(field)
    if isinstance(field, PartitionedField) and is_partitioned(field):
        return _undamped_partition(field)
    return None


def _undamped_partition(field: PartitionedField) -> Callable[[Control], Partition]:
    return lambda control: Partition(
        drift=lambda t, p: field.drift(time_tensor(t, p), p, control(t)),
        kick=lambda t, q: field.kick(time_tensor(t, q), q, control(t)),
    )


def _damped_partition(field: DampedPartitionedField) -> Callable[[Control], Partition]:
    def drift(control: Control, t: Time, *halves: Tensor) -> Tensor:
        """The drift of p, or of q and p."""
        return field.drift(time_tensor(t, halves[0]), *halves, control(t))  # pyright: ignore[reportCallIssue]

    return lambda control: Partition(
        drift=partial(drift, control),
        kick=lambda t, q, p: field.kick(time_tensor(t, q), q, p, control(t)),
        kick_sees_p=True,
        drift_sees_q=field.drift_sees_q,
    )
