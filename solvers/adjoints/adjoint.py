"""How gradients flow through an integration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from ..loop import Problem, states
from ..solver import Carry

Save = Literal["trajectory", "end"]
"""Which states are wanted: those after every interval, or the last one only."""


@dataclass(frozen=True, slots=True)
class Solved:
    """The outcome of a problem.

    Attributes:
        trajectory: the states at the ends of the intervals, (intervals, *shape of y), or None if not asked for.
        y: the state at the end of the last interval.
        carry: the solver's carry there.
    """

    trajectory: Tensor | None
    y: Tensor
    carry: Carry


@dataclass(frozen=True)
class Adjoint(ABC):
    """A way to run a problem so that gradients flow from its outcome to all that it was made of.

    Law: the gradients agree with those of `Autograd`, to rounding for an exact adjoint.
    """

    @abstractmethod
    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run `problem` and save the whole trajectory or only the end."""


@final
@dataclass(frozen=True)
class Autograd(Adjoint):
    """Backpropagation through every operation of the loop: the reference. Memory grows with the number of stages."""

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run the loop under autograd."""
        if save == "end":
            ((y, carry),) = deque(states(problem), maxlen=1)
            return Solved(None, y, carry)
        visited, carries = zip(*states(problem), strict=True)
        return Solved(torch.stack(visited), visited[-1], carries[-1])
