"""A discretisation as the operators know it: a family, and its coefficients. `linear_method` has the steps of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, NamedTuple

from torch import Tensor

from solvers import Shear
from solvers.extend import Entry

Family = Literal["runge-kutta", "exponential", "shears", "general-linear"]


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


class Tableau(NamedTuple):
    """A tableau of numbers; `a` has the entries before the diagonal, one row a stage."""

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]

    @property
    def stages(self) -> int:
        """Evaluations a step."""
        return len(self.b)


@dataclass(frozen=True, slots=True)
class Method:
    """A discretisation, as the kernels know it. Made by the functions of this file and of `linear_method`.

    Attributes:
        family: how the rest is read.
        a: the coefficients before the diagonal; of a general linear method all of them, as `linear_method` has it.
        b: the weights.
        c: the nodes.
        moved: which half of the state each stage moves; empty where it moves all of it.
        places: which matrix, or which given coefficient, an entry is; as `exponential` and `linear_method` have it.
    """

    family: Family
    a: tuple[float, ...] = ()
    b: tuple[float, ...] = ()
    c: tuple[float, ...] = ()
    moved: tuple[int, ...] = ()
    places: tuple[int, ...] = ()

    @property
    def tableau(self) -> Tableau:
        """An explicit tableau without matrices, put together again."""
        s = len(self.b)
        return Tableau(tuple(self.a[i * s : i * s + i] for i in range(s)), self.b, self.c)

    @property
    def shears(self) -> tuple[Shear, ...]:
        """The kicks and drifts of a partitioned method."""
        return tuple(Shear(half == 1, *move) for half, *move in zip(self.moved, self.b, self.c, strict=True))

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


def moves(shears: Method) -> Method:
    """Kicks and drifts as a tableau whose stages move one half of the state each, along a rate of all of it."""
    tableau = runge_kutta([shears.b[:i] for i in range(len(shears.b))], shears.b, shears.c)
    return replace(tableau, moved=shears.moved)


def numbers_of(row: Sequence[float | Tensor]) -> tuple[float, ...]:
    """A row of coefficients of which none depends on the steps."""
    return tuple(map(float, row))


EULER = runge_kutta([[]], [1.0], [0.0])
"""y + dt f(y)."""

SYMPLECTIC_EULER = splitting((1, 0), (1.0, 1.0), (0.0, 0.0))
"""p moves first, with the old q; then q, with the new p; both see the control at the start of the step."""

LEAPFROG = splitting((1, 0, 1), (0.5, 1.0, 0.5), (0.0, 0.5, 1.0))
"""Stoermer-Verlet, kick-drift-kick; the control is taken at the start, the middle and the end of the step."""
