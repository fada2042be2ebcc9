"""RecurrentState: everything a layer carries from one chunk of a sequence to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from jaxtyping import Float
from torch import Tensor

from solvers.extend import Memory, Time


@dataclass(frozen=True, slots=True)
class RecurrentState:
    """The whole state of a layer between two samples. Handing it on makes any split of a sequence give the same output.

    Attributes:
        y: the state of the field, (batch, hidden).
        t: the time, a number or a tensor of shape () or (batch, 1).
        memory: what a multi-step or reversible solver carries besides y; None before its start.
        control: the control of the last sample, (batch, control), which the linear hold needs; None at the start.
    """

    y: Float[Tensor, "batch hidden"]
    t: Time = 0.0
    memory: Memory | None = None
    control: Float[Tensor, "batch control"] | None = None

    def detach(self) -> Self:
        """The same state cut from the graph, for truncated backpropagation through time."""
        memory = self.memory
        return replace(
            self,
            y=self.y.detach(),
            t=_detached(self.t),
            memory=None if memory is None else tuple(_detached(part) for part in memory),
            control=None if self.control is None else self.control.detach(),
        )


def _detached(value: Tensor | float) -> Tensor | float:
    return value.detach() if isinstance(value, Tensor) else value
