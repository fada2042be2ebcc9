"""The forward sweep of a stepper by the kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from ..torch.control_path import control_path
from ..torch.recursion_operands import two_state_weights
from ..torch.scheme_stepper import SchemeStepper
from ..torch.stepper import Stepper
from .launch import Driven, advance
from .layout import Layout


def run_forward(
    layout: Layout, driven: Driven, stepper: Stepper, y0: Tensor, saved: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """All samples: the last state, and of a method that weighs two states the one before it.

    Args:
        layout: sizes and method.
        driven: what to run.
        stepper: the method on its recurrence, new.
        y0: the initial state (batch, n).
        saved: a buffer for the saved states, or None.
    """
    if not isinstance(stepper, SchemeStepper):
        return advance(layout, driven, y0, saved)
    whole, y = driven.recurrence, y0
    first = stepper.starting_intervals(0, whole.length)
    if first:
        y = _start(driven, stepper, first, y0, saved)
    previous = stepper.carried[0]
    if first == whole.length:
        return y, previous
    if first:
        driven = driven.chunk(first, whole.length)
        saved = None if saved is None else saved[first * driven.substeps :]
    given = stepper.coefficients.given is not None
    weights = torch.stack(two_state_weights(stepper, slice(first, whole.length), y0), dim=1) if given else None
    last, other = advance(layout, driven, y, saved, previous=previous, weights=weights)
    assert other is not None
    stepper.carried = (other,)
    return last, other


def _start(driven: Driven, stepper: SchemeStepper, first: int, y0: Tensor, saved: Tensor | None) -> Tensor:
    """The first samples by torch, as the steps that start the method are of others: the state after them."""
    s = driven.substeps
    count = first * s
    targets = [torch.empty_like(y0) for _ in range(count)] if saved is None else list(saved[:count].unbind(0))
    stepper.advance(control_path(driven.recurrence.chunk(0, first), s), 0, y0, targets)
    return targets[-1]
