"""The intervals of an operator's call one by one, as `replay` goes through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..control.hold import HOLDS, Hold
from ..control.input_map import AffineControl
from .program import Operands, Program


class Interval(NamedTuple):
    """What drives the rows that have a sample at a time.

    Attributes:
        u: the control of the sample.
        earlier: that of the sample before.
        dt: the length, of shape () or (rows, 1).
        hold: how the control runs from one to the other.
        matrices: of an exponential method (matrices, 2, 2, n / 2), of several networks (models, ...); or None.
    """

    u: Tensor
    earlier: Tensor
    dt: Tensor
    hold: Hold
    matrices: Tensor | None

    def control(self, fraction: float) -> Tensor:
        """The control at a fraction of the interval."""
        return self.hold.between(self.earlier, self.u, fraction)


def intervals(operands: Operands, program: Program) -> Iterator[Interval]:
    """One for each time, of the sequences that have a sample there; the longest come first."""
    samples, index, lengths = operands.samples, operands.index, operands.lengths
    control = AffineControl(operands.input_weight, operands.bias, program.squash == "tanh")
    hold, matrices = HOLDS[program.hold], operands.blocks
    if matrices is not None and operands.weight.ndim == 3:
        matrices = matrices.movedim(0, 1)
    if index is None or lengths is None:
        controls: Sequence[Tensor] = control(samples).unbind(0)
        steps = _steps(operands.dt.to(operands.y0.dtype) if operands.dt.ndim else operands.dt, len(controls))
    else:
        counts = (torch.arange(int(lengths[0]), device=lengths.device).unsqueeze(1) < lengths).sum(1).tolist()
        controls = control(samples[index]).split(counts)
        dt = operands.dt
        steps = dt.to(operands.y0.dtype).unsqueeze(1).split(counts) if dt.ndim else [dt] * len(counts)
    earlier = controls[0] if operands.before is None else operands.before
    for n, (u, dt) in enumerate(zip(controls, steps, strict=True)):
        own = None if matrices is None else matrices[n if len(matrices) > 1 else 0]
        yield Interval(u, earlier[: len(u)], dt, hold, own)
        earlier = u


def _steps(dt: Tensor, length: int) -> Sequence[Tensor]:
    """A step (), (time,) or (batch, time) as one an interval."""
    if dt.ndim == 2:
        return dt.T.unsqueeze(-1).unbind(0)
    return dt.unbind(0) if dt.ndim else [dt] * length
