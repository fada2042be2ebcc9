"""Prepared: what several calls of a layer have in common, made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from solvers import Adjoint
from solvers.extend import Problem, Save, Solved

from ..engines.choice import choice_of


@final
@dataclass(slots=True)
class Prepared:
    """What the pieces of a call have in common.

    Attributes:
        weight: the field's, built once, or None where each piece must build its own.
        chosen: what runs a piece, as the first of more than one sample has found it.
    """

    weight: Tensor | None
    chosen: Adjoint | None = None

    def solve(self, adjoint: Adjoint, problem: Problem, save: Save) -> Solved:
        """Run a piece, by an adjoint that `on_engine` made."""
        if problem.length == 1:
            return adjoint.solve(problem, save)
        if self.chosen is not None:
            return self.chosen.solve(problem, save)
        solved = adjoint.solve(problem, save)
        self.chosen = choice_of(adjoint, problem).adjoint
        return solved
