"""The coefficients of an exponential Runge-Kutta method, each a function of dt A."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import factorial
from typing import NamedTuple

from ..checks import check_count, check_number, check_type
from .phi import MOST_PHI
from .tableau import ButcherTableau


class Term(NamedTuple):
    """coefficient * phi_number(share * dt A); with a share of zero a multiple of the identity."""

    coefficient: float
    number: int
    share: float


Weight = tuple[Term, ...]
"""A sum of terms."""


class Entry(NamedTuple):
    """A coefficient as it is applied: a number, times the function number `place` or, if that is -1, the identity."""

    coefficient: float
    place: int


ZERO: Weight = ()


def number(value: float) -> Weight:
    """A multiple of the identity, as in a Butcher tableau."""
    return (Term(value, 0, 0.0),)


def phi(k: int, share: float = 1.0, coefficient: float = 1.0) -> Weight:
    """coefficient * phi_k(share * dt A); phi_0 is the exponential."""
    return (Term(coefficient, k, share),)


@dataclass(frozen=True)
class ExponentialTableau:
    """The tableau of an exponential Runge-Kutta method for dy/dt = A y + g(t, y).

    Y_i = exp(flows_i dt A) y + dt sum_j a_ij k_j, k_i = g(t + c_i dt, Y_i), y_next = exp(dt A) y + dt sum_i b_i k_i.

    Args:
        order: the order of the method. For A = 0 every condition up to it is checked; a test measures the rest.
        flows: for each stage how far the linear flow has gone, as a share of dt.
        a: one row a stage, row i (from 0) with its i entries left of the diagonal; the first row is ().
        b: the weights, one a stage.
        c: the nodes, one a stage.

    Attributes:
        functions: the distinct coefficients that are not multiples of the identity.
        flow_entries: the flows of the stages and of the whole step, one entry each.
        a_entries: the rows of `a`.
        b_entries: the entries of `b`.

    Raises:
        TypeError, ValueError: as of `ButcherTableau`, of the method where A = 0.

    Source: Hochbruck & Ostermann, Exponential integrators, Acta Numerica 19 (2010), 209-286, eq. (2.39), with flows
    that need not go as far as the nodes.
    """

    order: int
    flows: tuple[float, ...]
    a: tuple[tuple[Weight, ...], ...]
    b: tuple[Weight, ...]
    c: tuple[float, ...]
    functions: tuple[Weight, ...] = field(init=False)
    flow_entries: tuple[Entry, ...] = field(init=False)
    a_entries: tuple[tuple[Entry, ...], ...] = field(init=False)
    b_entries: tuple[Entry, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Check the method that is left where A = 0, and list what is to be computed."""
        self._check_weights()
        rows = tuple(tuple(_at_zero(weight) for weight in row) for row in self.a)
        ButcherTableau(self.order, rows, tuple(map(_at_zero, self.b)), self.c)
        check_type("flows", self.flows, tuple, "a tuple of numbers")
        for i, flow in enumerate(self.flows):
            check_number(f"flows[{i}]", flow)
        if len(self.flows) != len(self.b):
            raise ValueError(f"`flows` has {len(self.flows)} entries and `b` {len(self.b)}; give one of each a stage")
        functions: list[Weight] = []
        flows = tuple(_entry(phi(0, share), functions) for share in (*self.flows, 1.0))
        a = tuple(tuple(_entry(weight, functions) for weight in row) for row in self.a)
        b = tuple(_entry(weight, functions) for weight in self.b)
        found = {"functions": tuple(functions), "flow_entries": flows, "a_entries": a, "b_entries": b}
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def stages(self) -> int:
        """The number of stages."""
        return len(self.b)

    def _check_weights(self) -> None:
        check_type("a", self.a, tuple, "a tuple of rows of weights")
        check_type("b", self.b, tuple, "a tuple of weights")
        for i, row in enumerate(self.a):
            check_type(f"a[{i}]", row, tuple, "a tuple of weights")
        named = [(f"b[{i}]", weight) for i, weight in enumerate(self.b)]
        named += [(f"a[{i}][{j}]", weight) for i, row in enumerate(self.a) for j, weight in enumerate(row)]
        for name, weight in named:
            if not isinstance(weight, tuple) or not all(isinstance(term, Term) for term in weight):
                raise TypeError(f"`{name}` is {weight!r:.60}; give a weight, a tuple of Terms such as phi(1)")
            for term in weight:
                check_number(f"{name}.coefficient", term.coefficient)
                check_count(f"{name}.number", term.number, least=0, most=MOST_PHI)
                check_number(f"{name}.share", term.share)


def _at_zero(weight: Weight) -> float:
    """The weight where A = 0: phi_k(0) = I / k!."""
    return sum(term.coefficient / factorial(term.number) for term in weight)


def _entry(weight: Weight, functions: list[Weight]) -> Entry:
    """The weight as an entry; a function that is not yet listed is added."""
    if all(term.share == 0 for term in weight):
        return Entry(float(_at_zero(weight)), -1)
    if weight not in functions:
        functions.append(weight)
    return Entry(1.0, functions.index(weight))
