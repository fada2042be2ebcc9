"""ADJOINTS, the one list of adjoints, and the one that chooses among them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import torch

from ..discrete_adjoint import DiscreteAdjoint, takes
from ..loop import Problem
from .adjoint import Adjoint, Autograd, Save, Solved
from .checkpointed import Checkpointed
from .continuous import Continuous
from .reversible import Reversible
from .transforms import transformed

_LOG = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Auto(Adjoint):
    """The exact adjoint that suits the problem: `DiscreteAdjoint` where it is parallel in time, else `Autograd`.

    It never picks one that is inexact or that does the forward pass twice. What it picks is what `pick` says, and is
    logged at level DEBUG.
    """

    def pick(self, problem: Problem) -> Adjoint:
        """The adjoint that `solve` uses."""
        return DiscreteAdjoint() if self._is_for_discrete(problem) else Autograd()

    @staticmethod
    def _is_for_discrete(problem: Problem) -> bool:
        return takes(problem) and not transformed(problem) and not torch.compiler.is_compiling()

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run with the adjoint picked."""
        picked = self.pick(problem)
        _LOG.debug("adjoint 'auto' picked %r for %r", picked, problem.solver)
        return picked.solve(problem, save)


ADJOINTS: Mapping[str, type[Adjoint]] = MappingProxyType(
    {
        "autograd": Autograd,
        "discrete": DiscreteAdjoint,
        "checkpointed": Checkpointed,
        "reversible": Reversible,
        "continuous": Continuous,
        "auto": Auto,
    }
)
"""The one list of adjoints: tests, tables and the command line read it."""


def make_adjoint(adjoint: Adjoint | str) -> Adjoint:
    """The adjoint itself, or the one registered under its name.

    Raises:
        TypeError: neither an adjoint nor a name.
        ValueError: an unknown name; the message lists the registry.
    """
    if isinstance(adjoint, Adjoint):
        return adjoint
    if not isinstance(adjoint, str):
        raise TypeError(f"`adjoint` is {adjoint!r}; give an Adjoint or one of the names {', '.join(ADJOINTS)}")
    if adjoint not in ADJOINTS:
        raise ValueError(f"`adjoint` is {adjoint!r}; choose one of {', '.join(map(repr, ADJOINTS))}")
    return ADJOINTS[adjoint]()
