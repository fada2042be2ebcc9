"""A field with its weights built, closed over the control: what a solver steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from solvers import AffinePointwise, Partition, Semilinear, Structured
from solvers.extend import RightHandSide, time_tensor

from ..control.hold import Control
from ..fields.field import (
    AffinePointwiseField,
    DampedPartitionedField,
    SemilinearField,
    VectorField,
    is_damped_partitioned,
    is_partitioned,
)
from ..fields.noise import NoisyField

RightHandSideMaker = Callable[[Control], Structured]
"""From the control of an interval to the right-hand side f(t, y) there."""


def make_right_hand_side(field: VectorField, weight: Tensor | None) -> RightHandSideMaker:
    """What makes a right-hand side of a control, with the structure that `field` declares.

    Args:
        field: the field.
        weight: K of an affine-pointwise field, built once a call; None for another field.
    """
    if isinstance(field, NoisyField):
        return _noisy(field)
    affine = None
    if isinstance(field, AffinePointwiseField) and weight is not None:
        affine = make_affine_right_hand_side(field, weight)
    partition = _partition(field)
    semilinear = _semilinear(field) if isinstance(field, SemilinearField) else None

    def make(control: Control) -> Structured:
        whole = None if affine is None else affine(control)
        return Structured(
            _plain(field, control) if whole is None else whole,
            partition=None if partition is None else partition(control),
            semilinear=None if semilinear is None else semilinear(control),
            affine=whole,
        )

    return make


def _noisy(field: NoisyField) -> RightHandSideMaker:
    drift = field.field
    make = make_right_hand_side(drift, drift.weight() if isinstance(drift, AffinePointwiseField) else None)
    diffusion = field.diffusion()
    return lambda control: replace(make(control), diffusion=diffusion)


def make_affine_right_hand_side(field: AffinePointwiseField, weight: Tensor) -> Callable[[Control], AffinePointwise]:
    """What makes a right-hand side of a control with that structure alone, for a solver that needs no other."""
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
    if not is_partitioned(field):
        return None
    return lambda control: Partition(
        drift=lambda t, p: field.drift(time_tensor(t, p), p, control(t)),
        kick=lambda t, q: field.kick(time_tensor(t, q), q, control(t)),
    )


def _damped_partition(field: DampedPartitionedField) -> Callable[[Control], Partition]:
    return lambda control: Partition(
        drift=lambda t, p: field.drift(time_tensor(t, p), p, control(t)),
        kick=lambda t, q, p: field.kick(time_tensor(t, q), q, p, control(t)),
        kick_sees_p=True,
    )
