"""The forward sweep of a stepper by the kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from ..torch.control_path import ControlPath
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
    if stepper.vectors == 1:
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
    weights = stepper.weights_of_states(slice(first, whole.length), y0, y0.dtype) if stepper.weighs_by_row else None
    each = None if weights is None else torch.stack(weights, dim=1)
    last, other = advance(layout, driven, y, saved, previous=previous, weights=each)
    assert other is not None
    stepper.carried = (other,)
    return last, other


def _start(driven: Driven, stepper: Stepper, first: int, y0: Tensor, saved: Tensor | None) -> Tensor:
    """The first samples by torch, as the steps that start the method are of others: the state after them."""
    s = driven.substeps
    count = first * s
    targets = [torch.empty_like(y0) for _ in range(count)] if saved is None else list(saved[:count].unbind(0))
    stepper.advance(ControlPath(driven.recurrence.chunk(0, first), s), 0, y0, targets)
    return targets[-1]
