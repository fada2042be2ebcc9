"""The forward sweep of a stepper by the kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from ..torch.control_path import control_path
from ..torch.stepper import Stepper
from ..torch.two_step import TwoStepStepper
from .launch import Driven, advance
from .layout import Layout


def run_forward(
    layout: Layout, driven: Driven, stepper: Stepper, y0: Tensor, saved: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """All samples: the last state, and of a two-step method the one before it.

    Args:
        layout: sizes and method.
        driven: what to run.
        stepper: the method on its recurrence, new.
        y0: the initial state (batch, n).
        saved: a buffer for the saved states, or None.
    """
    if not isinstance(stepper, TwoStepStepper):
        return advance(layout, driven, y0, saved)
    whole, y, previous = driven.recurrence, y0, stepper.previous
    if previous is None:
        y, previous = _start(driven, stepper, y0, saved)
        if whole.length == 1:
            return y, previous
        driven = driven.chunk(1, whole.length)
        saved = None if saved is None else saved[driven.substeps :]
    ratios = stepper.ratios(whole.length - driven.recurrence.length, whole.length, y0)
    return advance(layout, driven, y, saved, previous=previous, ratios=ratios)


def _start(driven: Driven, stepper: TwoStepStepper, y0: Tensor, saved: Tensor | None) -> tuple[Tensor, Tensor]:
    """The first sample by torch, as its first step is of another method: the state after it, and that before."""
    s = driven.substeps
    targets = [torch.empty_like(y0) for _ in range(s)] if saved is None else list(saved[:s].unbind(0))
    stepper.advance(control_path(driven.recurrence.chunk(0, 1), s), 0, y0, targets)
    return targets[-1], stepper.last_but_one
