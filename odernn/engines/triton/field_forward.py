"""The forward sweep of any field whose `pointwise` can be read, by the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...control.hold import Hold, LinearHold, ZeroOrderHold
from ...control.input_map import AffineControl
from ...fields.field import AffinePointwiseField
from ..recurrence import Recurrence
from ..torch.stepper import Stepper
from ..traced.of_field import trace_of
from ..traced.trace import Trace
from ..traced.tracing import state_of
from .availability import layout_for
from .elementwise import untold
from .forward import run_forward
from .launch import Driven


@dataclass(frozen=True, slots=True)
class FieldForward:
    """What stands in for the torch engine's forward sweep.

    Attributes:
        field: whose parameters give the numbers of its units.
        trace: of its `pointwise`.
        linear: whether the control runs in a straight line between the samples.
    """

    field: AffinePointwiseField
    trace: Trace
    linear: bool

    def __call__(
        self,
        recurrence: Recurrence,
        stepper: Stepper,
        substeps: int,
        y0: Tensor,
        saved: Tensor | None,
        size: int | None = None,
    ) -> Tensor:
        """The last state; as `sweep.forward`. One launch needs no chunks."""
        units = y0.shape[-1]
        layout = layout_for(y0.device, stepper.method, units, len(recurrence.weight) // units)
        control = recurrence.scheme.control
        affine = control if isinstance(control, AffineControl) and not control.squashed else None
        driven = Driven(
            recurrence,
            self.trace,
            None if affine is None else affine.weight,
            None if affine is None else affine.bias,
            linear=self.linear,
            substeps=substeps,
            numbers=self._numbers(),
        )
        last, _ = run_forward(layout, driven, stepper, y0, saved)
        return last

    def _numbers(self) -> Tensor | None:
        """The numbers of the units (numbers, n), of the parameters as they are now."""
        if self.trace.numbers is None:
            return None
        with torch.no_grad():
            return self.trace.numbers(*state_of(self.field).values()).contiguous()


def field_forward(field: AffinePointwiseField, hold: Hold) -> FieldForward | str:
    """What makes the forward sweep of a field that keeps the promises of `pointwise`, or why nothing does."""
    if not isinstance(hold, ZeroOrderHold | LinearHold):
        return f"the kernels do not know {type(hold).__name__}"
    trace = trace_of(field)
    if isinstance(trace, str):
        return trace
    if (name := untold(trace)) is not None:
        return f"the Triton kernels have no {name}"
    return FieldForward(field, trace, isinstance(hold, LinearHold))
