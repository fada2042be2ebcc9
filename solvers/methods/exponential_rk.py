"""One step of any exponential Runge-Kutta tableau, for a right-hand side dy/dt = A y + remainder(t, y).

Its matrices, functions of dt A, are made in the first step and kept in the carry, which is
(A, dt, stamp, function, function, ...). They are made again as soon as A or dt is another: another number dt, another
tensor object, the same tensor changed in place (the stamp counts that), or gradients wanted of matrices that were made
without. A layer builds A once a call, so it makes the matrices once a call for a number dt and once an interval for a
tensor dt, and never uses matrices of before an optimiser's step. (An A written to through `A.data` is the one change
that torch keeps no count of: a field that hands out a parameter itself as A must not be changed so.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..arithmetic import advance
from ..checks import complex_numbers
from ..linear_part import BlockDiagonal, LinearPart, apply_matrix, tensor_of
from ..requirements import required_semilinear
from ..right_hand_side import Need, RightHandSide, Time
from ..solver import Carry, Solver
from .exponential_tableau import Entry, ExponentialTableau
from .phi import phi_of


@dataclass(frozen=True)
class ExponentialRungeKutta(Solver):
    """The step that an exponential `tableau` defines. A method is this class with its tableau: see exponential.py.

    The linear part is integrated exactly: its stiffness and its frequencies do not bound the step.
    """

    family = "exponential"
    caches = True
    needs = Need.LINEAR_PART
    tableau: ClassVar[ExponentialTableau]

    def __init_subclass__(cls) -> None:
        """Take order and stages from the tableau, so that they are written once."""
        cls.order = cls.tableau.order
        cls.stages = cls.tableau.stages
        cls.num_evals = cls.tableau.stages
        cls.exponential = cls.tableau

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """Nothing yet: the first step makes the matrices."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The stages in their order, each from the flow of `y` and the remainders of those before."""
        system = required_semilinear(self, f)
        tableau = self.tableau
        carry = _current(carry, system.linear, dt, tableau)
        matrices = _matrices(carry, system.linear)
        flows = [_flowed(entry, matrices, y) for entry in tableau.flow_entries]
        slopes: list[Tensor] = []
        for flow, row, node in zip(flows, tableau.a_entries, tableau.c, strict=False):
            state = _combined(flow, dt, row, matrices, slopes)
            slopes.append(system.remainder(t if node == 0 else t + node * dt, state))
        return _combined(flows[-1], dt, tableau.b_entries, matrices, slopes), carry

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|exp(z)|: all of the test equation is linear part."""
        return complex_numbers("z", z).real.exp()


def functions_of(tableau: ExponentialTableau, linear: LinearPart, dt: Time) -> list[Tensor]:
    """The tableau's functions of dt A, stored as A is. A `dt` of shape (batch, 1) gives one a sample."""
    terms = [term for weight in tableau.functions for term in weight]
    shares = dict.fromkeys(term.share for term in terms)
    highest = {share: max(term.number for term in terms if term.share == share) for share in shares}
    phis = {share: phi_of(linear, dt if share == 1 else share * dt, highest[share]) for share in shares}
    return [_sum(t.coefficient * phis[t.share][t.number] for t in weight) for weight in tableau.functions]


def _sum(terms: Iterable[Tensor]) -> Tensor:
    first, *others = terms
    return sum(others, start=first)


def _flowed(entry: Entry, matrices: Sequence[LinearPart], y: Tensor) -> Tensor:
    return y if entry.place < 0 else apply_matrix(matrices[entry.place], y)


def _combined(
    y: Tensor, dt: Time, entries: Sequence[Entry], matrices: Sequence[LinearPart], slopes: Sequence[Tensor]
) -> Tensor:
    """Return y + dt sum_j entry_j slope_j."""
    for entry, slope in zip(entries, slopes, strict=True):
        if entry.coefficient != 0:
            y = advance(y, entry.coefficient * dt, _flowed(entry, matrices, slope))
    return y


def _current(carry: Carry, linear: LinearPart, dt: Time, tableau: ExponentialTableau) -> Carry:
    """The carry if it was made of this A and this dt as they are now, else one that is."""
    entries = tensor_of(linear)
    if len(carry) == 3 + len(tableau.functions) and _is_current(carry, entries, dt):
        return carry
    return (entries, dt, _stamp(entries, dt), *functions_of(tableau, linear, dt))


def _is_current(carry: Carry, entries: Tensor, dt: Time) -> bool:
    known, step, stamp, function, *_ = carry
    if known is not entries or not _same(step, dt) or stamp != _stamp(entries, dt):
        return False
    assert isinstance(function, Tensor)
    return function.requires_grad or not _wants_gradient(entries, dt)


def _same(before: Time, now: Time) -> bool:
    """Two equal numbers, or one and the same tensor: entries are not compared, that would wait for the device."""
    if isinstance(before, Tensor) or isinstance(now, Tensor):
        return before is now
    return before == now


def _stamp(entries: Tensor, dt: Time) -> int:
    """How often A and dt were changed in place; it only grows. Inference tensors are not counted."""
    if torch.compiler.is_compiling():
        return 0
    values = (value for value in (entries, dt) if isinstance(value, Tensor) and not value.is_inference())
    return sum(value._version for value in values)


def _wants_gradient(entries: Tensor, dt: Time) -> bool:
    return torch.is_grad_enabled() and (entries.requires_grad or (isinstance(dt, Tensor) and dt.requires_grad))


def _matrices(carry: Carry, linear: LinearPart) -> list[LinearPart]:
    """The functions that the carry holds, as what A is."""
    tensors = [part for part in carry[3:] if isinstance(part, Tensor)]
    return [BlockDiagonal(tensor) for tensor in tensors] if isinstance(linear, BlockDiagonal) else list(tensors)
