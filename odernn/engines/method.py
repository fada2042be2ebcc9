"""A discretisation as the operators know it: a family, and its coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, NamedTuple

from solvers import Shear
from solvers.extend import Entry

Family = Literal["runge-kutta", "exponential", "shears", "two-step"]


class Entries(NamedTuple):
    """A tableau whose entries may name matrices.

    Attributes:
        flows: what y is multiplied by in each stage and, last, over the whole step.
        a: one row a stage, with the entries before the diagonal.
        b: the weights, one a stage.
    """

    flows: tuple[Entry, ...]
    a: tuple[tuple[Entry, ...], ...]
    b: tuple[Entry, ...]

    def is_made_by_a_matrix(self, stage: int) -> bool:
        """Whether the state of a stage is."""
        return any(entry.place >= 0 for entry in (self.flows[stage], *self.a[stage]))


@dataclass(frozen=True, slots=True)
class Method:
    """A discretisation, as the kernels know it. Made by the functions of this file."""

    family: Family
    a: tuple[float, ...] = ()
    b: tuple[float, ...] = ()
    c: tuple[float, ...] = ()
    moved: tuple[int, ...] = ()
    places: tuple[int, ...] = ()

    @property
    def entries(self) -> Entries:
        """The entries of an explicit tableau, with matrices or without, put together again from numbers and places."""
        s = len(self.b)
        places = iter(self.places or (-1,) * (s + 1 + s * s + s))
        flows = tuple(Entry(1.0, next(places)) for _ in range(s + 1))
        a = tuple(Entry(coefficient, next(places)) for coefficient in self.a)
        rows = tuple(a[i * s : i * s + i] for i in range(s))
        return Entries(flows, rows, tuple(Entry(coefficient, next(places)) for coefficient in self.b))


def runge_kutta(a: Sequence[Sequence[float]], b: Sequence[float], c: Sequence[float]) -> Method:
    """An explicit tableau; the native kernels take 15 stages at most. What is missing in a short row of `a` is zero."""
    stages = len(b)
    rows = ((*map(float, row), *(0.0,) * (stages - len(row))) for row in a)
    return Method("runge-kutta", tuple(chain.from_iterable(rows)), tuple(map(float, b)), tuple(map(float, c)))


def exponential(flows: Sequence[Entry], a: Sequence[Sequence[Entry]], b: Sequence[Entry], c: Sequence[float]) -> Method:
    """A tableau whose entries are numbers or name the matrices that come as `Call.blocks`.

    `places` has, of the flows of the stages and of the step, of `a` and of `b`, which matrix an entry is, -1 for the
    identity; `a` and `b` have the numbers that they are multiplied by.
    """
    stages = len(b)
    square = tuple(chain.from_iterable((*row, *(Entry(0.0, -1),) * (stages - len(row))) for row in a))
    return Method(
        "exponential",
        tuple(entry.coefficient for entry in square),
        tuple(entry.coefficient for entry in b),
        tuple(map(float, c)),
        places=tuple(entry.place for entry in (*flows, *square, *b)),
    )


def splitting(moved: Sequence[int], coefficients: Sequence[float], nodes: Sequence[float]) -> Method:
    """A partitioned method: move number i adds coefficients[i] * dt * rate to one half of the state.

    Args:
        moved: of each move, 0 if it adds to q, along tanh(p K_qp^T + u_q); 1 if it adds to p, along
            tanh(q K_pq^T + u_p). The state is (q, p).
        coefficients: of dt.
        nodes: where in the step the control is taken, 0 at its start, 1 at its end.
    """
    return Method("shears", (), tuple(map(float, coefficients)), tuple(map(float, nodes)), tuple(moved))


def moves(shears: Sequence[Shear]) -> Method:
    """Kicks and drifts as a tableau whose stages move one half of the state each, along a rate of all of it."""
    shares = [s.share for s in shears]
    tableau = runge_kutta([shares[:i] for i in range(len(shares))], shares, [s.node for s in shears])
    return replace(tableau, moved=tuple(int(s.kick) for s in shears))


def kicks_and_drifts(shears: Sequence[Shear]) -> Method:
    """The `splitting` of a splitting method."""
    return splitting([int(s.kick) for s in shears], [s.share for s in shears], [s.node for s in shears])


def two_step() -> Method:
    """The explicit two-step midpoint rule, started by the explicit midpoint method where no earlier state is given."""
    return Method("two-step")


EULER = runge_kutta([[]], [1.0], [0.0])
"""y + dt f(y)."""

SYMPLECTIC_EULER = splitting((1, 0), (1.0, 1.0), (0.0, 0.0))
"""p moves first, with the old q; then q, with the new p; both see the control at the start of the step."""

LEAPFROG = splitting((1, 0, 1), (0.5, 1.0, 0.5), (0.0, 0.5, 1.0))
"""Stoermer-Verlet, kick-drift-kick; the control is taken at the start, the middle and the end of the step."""
