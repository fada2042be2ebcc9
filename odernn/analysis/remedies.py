"""What would bring the eigenvalues of a network inside the stability region: a solver, a shorter step, damping."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from math import ceil, inf

import torch
from torch import Tensor

from odernn import ODERNN, VectorField
from solvers import SOLVERS, Need, Solver

from .measures import Modes, modes
from .stability import ROUNDING, amplification, stable_scale
from .subject import Subject
from .words import Remedies

MOST_SUBSTEPS = 100
"""A step that must be shorter than this part is not offered as a remedy."""

FAMILIES = ("explicit Runge-Kutta", "splitting", "multi-step", "implicit")
"""The families that are offered, in this order. An exponential method's R holds for its linear part only, and a
stochastic or adaptive one answers another question."""


def find_remedies(subject: Subject, at: Sequence[int], found: Modes) -> Remedies:
    """What would hold the modes that the field does not make grow."""
    return Remedies(
        tuple(holding(subject.rnn, found.others)),
        enough_substeps(subject.rnn, found.others),
        enough_damping(subject, at),
    )


def holding(rnn: ODERNN, z: Tensor) -> list[str]:
    """The solvers of the registry that suit the field and hold every z, in the order of `FAMILIES`, then of cost."""
    suited = [solver for solver in (make() for make in SOLVERS.values()) if _suits(rnn, solver)]
    suited.sort(key=lambda solver: (FAMILIES.index(solver.family), solver.num_evals))
    return [type(solver).__name__ for solver in suited if is_stable(solver, z)]


def is_stable(solver: Solver, z: Tensor) -> bool:
    """Whether no |R(z)| is above 1 by more than rounding."""
    return bool((amplification(solver, z) <= 1 + ROUNDING).all())


def enough_substeps(rnn: ODERNN, z: Tensor) -> int | None:
    """How many substeps hold every z with the network's solver; None if no reasonable number does."""
    scale = stable_scale(rnn.solver, z)
    if scale in (0.0, inf):
        return None
    needed = ceil(rnn.substeps / scale)
    return needed if rnn.substeps < needed <= MOST_SUBSTEPS * rnn.substeps else None


def enough_damping(subject: Subject, at: Sequence[int]) -> float | None:
    """The least damping, to two digits, with which the eigenvalues lie inside, in the same states; None if none does.

    It is looked for between the field's own and the largest that Euler's method could stand, 2 / step. The states would
    be others under it, so it is a first guess.
    """
    field = subject.rnn.field
    own = getattr(field, "damping", None)
    if isinstance(own, bool) or not isinstance(own, int | float):
        return None
    largest = 2 * subject.rnn.substeps / float(subject.durations().max())

    def works(damping: float) -> bool:
        return is_stable(subject.rnn.solver, modes(subject, at, _damped(field, damping)).others)

    grid = torch.logspace(-4, 0, 25, dtype=torch.float64).mul(largest).tolist()
    low = own
    for damping in (value for value in grid if value > own):
        if works(damping):
            return _two_digits_up(low, damping, works)
        low = damping
    return None


def _two_digits_up(low: float, high: float, works: Callable[[float], bool]) -> float:
    for _ in range(5):
        middle = (low + high) / 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return float(f"{high:.2g}") if works(float(f"{high:.2g}")) else float(f"{1.05 * high:.2g}")


def _damped(field: VectorField, damping: float) -> VectorField:
    other = copy.copy(field)
    vars(other)["damping"] = damping  # a plain number, as the caller has seen: no parameter and no submodule
    return other


def _suits(rnn: ODERNN, solver: Solver) -> bool:
    if solver.family not in FAMILIES or solver.needs not in (None, Need.PARTITION):
        return False
    try:
        rnn.with_solver(solver)
    except ValueError:
        return False
    return True
