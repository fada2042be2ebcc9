"""RecurrentProblem: a sequence as an initial value problem that an engine may run at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from solvers.extend import Inputs, Problem

from ..control.hold import Hold
from ..fields.field import VectorField
from .recurrence import Recurrence

TensorForm = Callable[[Inputs, int, int], Recurrence]
"""(inputs, start, stop) -> the part from interval `start` to `stop` as a recurrence in tensors."""


@final
@dataclass(frozen=True, kw_only=True)
class RecurrentProblem(Problem):
    """An initial value problem made of a field, a hold and samples.

    Attributes:
        field: the vector field.
        hold: how its control runs between samples.
        tensor_form: the same problem as a recurrence in tensors, or None for a field without that structure.
        repeatable: whether the functions of `tensor_form` give the same when they are called again, after the call.
        parameters_now: the field's parameters at the time of asking.
    """

    field: VectorField
    hold: Hold
    tensor_form: TensorForm | None
    deterministic: bool
    parameters_now: Callable[[], tuple[Tensor, ...]]

    @property
    def recurrence(self) -> Recurrence | None:
        """The whole problem in tensors, or None."""
        if self.tensor_form is None:
            return None
        return self.tensor_form(self.inputs, self.origin, self.origin + self.length)
