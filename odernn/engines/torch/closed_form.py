"""Derivatives by the formulas of the registered activations and of the affine control."""

from __future__ import annotations

import torch
from torch import Tensor

from ..formulas import Formula, Linearised
from ..recurrence import Recurrence
from .control_path import ControlPath, Moment
from .input_gradients import InputGradients
from .stage import Stage


class ClosedFormDerivatives:
    """Derivatives of a recurrence of registered parts, and the gradients by samples, control before, V and b.

    Args:
        recurrence: the whole recurrence.
        substeps: solver steps an interval.
        formula: of its activation.
        sums: where the gradients by the control go.
    """

    def __init__(self, recurrence: Recurrence, substeps: int, formula: Formula, sums: InputGradients) -> None:
        self.recurrence = recurrence
        self.substeps = substeps
        self.formula = formula
        self.sums = sums
        self.wants_kappa = formula.by_control
        self.before = None if recurrence.before is None else torch.zeros_like(recurrence.before)
        self._carried: Tensor | None = None

    def begin_chunk(self, start: int, stop: int) -> ControlPath:
        """The chunk's control path."""
        return ControlPath(self.recurrence.chunk(start, stop), self.substeps)

    def linearise(self, y: Tensor, p: Tensor, at: Moment, out: Tensor) -> Linearised:
        """By the activation's formula."""
        return self.formula.linearise(p, at.control(y.shape[-1]), at.step, out)

    def end_chunk(self, path: ControlPath, stages: list[Stage], start: int, stop: int) -> None:
        """Each stage's dL/du, shared out to the two samples between which its control lay."""
        if self.recurrence.scheme.jumps:
            gradient = self._at_samples(path, stages)
        else:
            gradient = self._between_samples(path, stages, start)
        self.sums.add(start, stop, path.controls if self.sums.control.squashed else None, gradient)

    def _shape(self, path: ControlPath) -> tuple[int, ...]:
        """Of the control at the samples (time, batch, U)."""
        samples, weight = path.recurrence.samples, self.sums.control.weight
        return tuple(samples.shape) if weight is None else (*samples.shape[:-1], weight.shape[-2])

    def _at_samples(self, path: ControlPath, stages: list[Stage]) -> Tensor:
        shape = self._shape(path)
        if len(stages) == 1 and stages[0].preactivation.shape == shape:
            return stages[0].preactivation
        gradient = path.recurrence.samples.new_zeros(shape)
        for stage in stages:
            _part(gradient, stage).add_(_by_control(stage, path))
        return gradient

    def _between_samples(self, path: ControlPath, stages: list[Stage], start: int) -> Tensor:
        """Slot n + 1 is sample n's of the chunk, slot 0 that of the sample before, which an earlier chunk has."""
        slots = path.recurrence.samples.new_zeros(path.length + 1, *self._shape(path)[1:])
        if self._carried is not None:
            slots[-1] += self._carried
        for stage in stages:
            by_control = _by_control(stage, path)
            _part(slots[1:], stage).add_(by_control, alpha=stage.fraction)
            _part(slots[:-1], stage).add_(by_control, alpha=1 - stage.fraction)
        self._carried = slots[0]
        if start == 0 and self.before is not None:
            self.before.copy_(slots[0])
        elif start == 0:  # the control before the first sample is the first sample's
            slots[1] += slots[0]
        return slots[1:]


def _part(whole: Tensor, stage: Stage) -> Tensor:
    """The control's gradient in the stage's intervals and for its units."""
    return (
        whole[: len(stage.preactivation)][..., stage.coupling.rows]
        if stage.coupling.rows != slice(None)
        else whole[: len(stage.preactivation)]
    )


def _by_control(stage: Stage, path: ControlPath) -> Tensor:
    """dL/du of a stage (time, batch, U or that of its half)."""
    by_control = stage.linearised.by_control
    if by_control is None:
        return stage.preactivation[..., -stage.linearised.slope.shape[-1] :]
    assert stage.kappa is not None
    kappa = stage.kappa * path.step_of_first(len(stage.kappa))
    return by_control * kappa.repeat(1, 1, by_control.shape[-1] // kappa.shape[-1])
