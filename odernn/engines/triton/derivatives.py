"""The derivatives of a chunk by one kernel an evaluation, in place of torch's passes over all times."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from ..formulas import Formula, Linearised
from ..recurrence import Recurrence
from ..torch.closed_form import ClosedFormDerivatives
from ..torch.control_path import Moment
from ..torch.input_gradients import InputGradients
from ..traced.trace import Trace
from .launch import has_few_inputs, on_device, step_of
from .linearise import linearise_kernel, tile_of
from .plans import Linearise


@final
class KernelDerivatives(ClosedFormDerivatives):
    """The closed-form derivatives, of which a kernel makes each evaluation, with its control where inputs are few.

    Args:
        trace: of the activation.
        recurrence: as its base class has it, with all that follows.
    """

    def __init__(
        self, trace: Trace, recurrence: Recurrence, substeps: int, formula: Formula, sums: InputGradients
    ) -> None:
        super().__init__(recurrence, substeps, formula, sums)
        self.trace = trace

    def linearise(self, y: Tensor, p: Tensor, at: Moment, out: Tensor) -> Linearised:
        """In one pass over `p`, where the slope goes if there is one preactivation a unit."""
        count, batch, width = y.shape
        groups = p.shape[-1] // width
        kind, step = step_of(at.step, batch)
        inputs = self._inputs()
        plan = Linearise(
            self.trace,
            width=width,
            groups=groups,
            units=width if at.half is None else 2 * width,
            first=width * (at.half or 0),
            inputs=inputs,
            step=kind,
            evaluations=out.stride(0) // (batch * p.shape[-1]),
            by_control=self.formula.by_control,
        )
        p = p.contiguous()
        slope = p if groups == 1 else torch.empty_like(y, memory_format=torch.contiguous_format)
        by_control = y.new_empty(count, batch, self.trace.controls * width) if plan.by_control else None
        control = self.sums.control
        samples = at.control(width) if inputs is None else at.path.recurrence.samples[:count]
        rows, units = tile_of(plan)
        with on_device(y):
            linearise_kernel(plan)[(-(-count * batch // rows), -(-width // units))](
                *(p, samples.contiguous(), control.weight, control.bias, step, out, slope, by_control, count, batch),
                enable_fp_fusion=True,
            )
        return Linearised(slope, out, by_control=by_control)

    def _inputs(self) -> int | None:
        """The entries of the input whose control the kernel makes; None where it reads the control."""
        weight, _, squashed = self.sums.control
        if weight is None or squashed or weight.ndim == 3 or not self.recurrence.scheme.jumps:
            return None
        return weight.shape[-1] if has_few_inputs(weight) else None
