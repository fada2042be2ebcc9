"""What the kernels are written for: everything that their text depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..traced.trace import Trace
from .layout import Layout


@dataclass(frozen=True, slots=True)
class Advance:
    """What a forward kernel is written for.

    Attributes:
        layout: sizes and method.
        trace: the elementwise part of the field.
        inputs: entries of the input, whose control the kernel makes itself; None where samples are the control.
        hold: how the control runs between the samples.
        before: whether the control before the first sample is given.
        step: of `dt`: one number, one a sample, or one a sample and row (time, batch).
        substeps: solver steps a sample.
        save: whether the states are stored.
        blocks_vary: whether every sample has matrices of its own.
        weights: whether every solver step weighs the two states in its own way.
        lengths: whether rows end early.
    """

    layout: Layout
    trace: Trace
    inputs: int | None
    hold: Literal["zero-order", "linear"]
    before: bool
    step: Literal["number", "time", "rows"]
    substeps: int
    save: bool
    blocks_vary: bool
    weights: bool = False
    lengths: bool = False


@dataclass(frozen=True, slots=True)
class Recur:
    """What a backward kernel is written for.

    Attributes:
        layout: sizes and method.
        substeps: solver steps from one gradient in `later` to the next.
        by_state: whether there are derivatives by the state itself.
        later: whether there are gradients by the states that were saved.
        kappas: whether dL / d(step slope) is stored.
        blocks_vary: whether every interval has matrices of its own.
        lengths: whether rows end early.
    """

    layout: Layout
    substeps: int
    by_state: bool
    later: bool
    kappas: bool
    blocks_vary: bool
    lengths: bool = False


@dataclass(frozen=True, slots=True)
class Linearise:
    """What a kernel for the derivatives of an evaluation is written for.

    Attributes:
        trace: the elementwise part of the field.
        width: units that the evaluation moves.
        groups: entries of a unit's preactivation.
        units: of the state.
        first: the first of them that moves.
        inputs: entries of the input, whose control the kernel makes itself; None where samples are the control.
        step: of `step`: one number, one an interval, or one an interval and row (time, batch).
        evaluations: in whose buffer, interval by interval, the derivatives by the preactivation lie.
        by_control: whether the derivatives by the control are stored.
    """

    trace: Trace
    width: int
    groups: int
    units: int
    first: int
    inputs: int | None
    step: Literal["number", "time", "rows"]
    evaluations: int
    by_control: bool
