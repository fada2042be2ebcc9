"""Explicit methods that carry several vectors, general linear methods, as the operators know them.

A `Scheme` has one entry a coefficient. Those of the started method that are functions of the ratios of steps come to an
operator as a tensor, `Call.coefficients`, and are named by their place in it; where no tensor comes, all steps have one
length, and the entry's own number holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import chain

import torch
from torch import Tensor

from solvers.extend import Coefficient, Entry, Scheme, Schemes

from .method import Method

Table = tuple[tuple[Entry, ...], ...]


class Role(IntEnum):
    """What an operator saves of a vector that is carried besides the state."""

    DROPPED = 0
    """Nothing: no stage reads it."""
    KEPT = 1
    """All of it, at every solver step."""
    KEPT_WITH_COEFFICIENTS = 2
    """The same, but only where coefficients are given, of which there is a gradient."""
    STATE_BEFORE = 3
    """Nothing: it is the state one solver step before."""


@dataclass(frozen=True, slots=True)
class LinearStep:
    """One step, as a `Scheme` has it, from as many vectors as a row of `u` has entries to as many as `v` has rows."""

    u: Table
    a: tuple[tuple[float, ...], ...]
    v: Table
    b: Table
    c: tuple[float, ...]

    @property
    def stages(self) -> int:
        """Evaluations."""
        return len(self.c)


@dataclass(frozen=True, slots=True)
class LinearMethod:
    """A method that carries several vectors.

    Attributes:
        steps: the steps that start it, from the first, and last the one that every later step is.
        roles: of the vectors after the state.
    """

    steps: tuple[LinearStep, ...]
    roles: tuple[Role, ...]

    @property
    def steady(self) -> LinearStep:
        """The step of the started method."""
        return self.steps[-1]

    @property
    def vectors(self) -> int:
        """The vectors that are carried, with the state."""
        return 1 + len(self.roles)

    @property
    def weighs_two_states(self) -> bool:
        """Whether the started method is y_next = e y_before + w y + s dt f(t, y)."""
        step, state = self.steady, (Entry(1.0, -1), Entry(0.0, -1))
        return self.roles == (Role.STATE_BEFORE,) and step.u == (state,) and step.c == (0.0,)

    def kept(self, *, with_coefficients: bool) -> tuple[int, ...]:
        """The numbers of the vectors that are saved besides the state."""
        wanted = (Role.KEPT, Role.KEPT_WITH_COEFFICIENTS) if with_coefficients else (Role.KEPT,)
        return tuple(i for i, role in enumerate(self.roles, 1) if role in wanted)


def general_linear(schemes: Schemes) -> Method:
    """The method of schemes.

    Its `a` has, step by step, the numbers of u, a (square), v and b, row by row, and its `c` the nodes; its `places`
    how many vectors there are, their roles, how many stages each step has, and which given coefficient each entry of
    u, v and b of the started method is, -1 for none.
    """
    steady, places = schemes.steady([1.0] * schemes.ratios), _places(schemes)
    steps = [*(_linear(scheme, [-1] * _count(scheme)) for scheme in schemes.starters), _linear(steady, places)]
    roles = [_role(steps, i) for i in range(1, len(steps))]
    return Method(
        "general-linear",
        a=tuple(chain.from_iterable(map(_numbers, steps))),
        c=tuple(chain.from_iterable(step.c for step in steps)),
        places=(len(steps), *map(int, roles), *(step.stages for step in steps), *places),
    )


@cache
def linear_method(method: Method) -> LinearMethod:
    """The steps and roles of a general linear method, put together again from its numbers and places."""
    vectors, *places = method.places
    roles, stages, rest = places[: vectors - 1], places[vectors - 1 : 2 * vectors - 1], places[2 * vectors - 1 :]
    numbers, nodes, steps = iter(method.a), iter(method.c), []
    for i, s in enumerate(stages, 1):
        before, after = min(i, vectors), min(i + 1, vectors)
        own = iter(rest if i == vectors else [-1] * len(rest) * 2)
        u = _table(numbers, own, s, before)
        a = tuple(tuple(next(numbers) for _ in range(s))[:j] for j in range(s))
        v, b = _table(numbers, own, after, before), _table(numbers, own, after, s)
        steps.append(LinearStep(u, a, v, b, tuple(next(nodes) for _ in range(s))))
    return LinearMethod(tuple(steps), tuple(map(Role, roles)))


def vectors_at_end(method: LinearMethod, given: int, steps: int) -> int:
    """How many vectors after the state there are at the end of so many solver steps, if some are given at first."""
    others = method.vectors - 1
    return others if given + 1 >= others else min(others, given + steps)  # one step always is


def step_vectors(
    step: LinearStep,
    given: Tensor | None,
    slope: Callable[[Tensor, float], Tensor],
    dt: float | Tensor,
    x: Sequence[Tensor],
) -> list[Tensor]:
    """The vectors after a step, under autograd.

    Args:
        step: the step.
        given: the coefficients that are given (rows, numbers), or None.
        slope: (state, node) -> the right-hand side.
        dt: the length of the step.
        x: the vectors before it.
    """

    def total(row: Sequence[Entry], vectors: Sequence[Tensor]) -> Tensor:
        weights = (e.coefficient if given is None or e.place < 0 else given[:, e.place, None] for e in row)
        terms = [w * v for w, v in zip(weights, vectors, strict=True) if isinstance(w, Tensor) or w != 0]
        return sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(x[0])

    slopes: list[Tensor] = []
    for u, a, c in zip(step.u, step.a, step.c, strict=True):
        state = total(u, x)
        for weight, k in zip(a, slopes, strict=True):
            state = state + dt * weight * k
        slopes.append(slope(state, c))
    return [total(v, x) + dt * total(b, slopes) for v, b in zip(step.v, step.b, strict=True)]


def coefficients_of(schemes: Schemes, ratios: Sequence[Tensor]) -> Tensor:
    """The entries that are functions of the ratios (..., numbers), in the order of their places."""
    entries = [entry for entry in _entries(schemes.steady(ratios)) if isinstance(entry, Tensor)]
    return torch.stack(entries, dim=-1)


def _entries(scheme: Scheme) -> Iterator[Coefficient]:
    return chain.from_iterable(chain(scheme.u, scheme.v, scheme.b))


def _count(scheme: Scheme) -> int:
    return sum(1 for _ in _entries(scheme))


def _places(schemes: Schemes) -> list[int]:
    """Which of the entries of the started method are functions of ratios, numbered; -1 for the others."""
    probe = torch.ones((), dtype=torch.float64, device="cpu")
    vary = [isinstance(entry, Tensor) for entry in _entries(schemes.steady([probe] * schemes.ratios))]
    return [sum(vary[:i]) if each else -1 for i, each in enumerate(vary)]


def _linear(scheme: Scheme, places: Iterable[int]) -> LinearStep:
    own, numbers = iter(places), map(float, _entries(scheme))
    u, v, b = (_table(numbers, own, len(table), len(table[0])) for table in (scheme.u, scheme.v, scheme.b))
    return LinearStep(u, scheme.a, v, b, scheme.c)


def _table(numbers: Iterator[float], places: Iterator[int], rows: int, columns: int) -> Table:
    return tuple(tuple(Entry(next(numbers), next(places)) for _ in range(columns)) for _ in range(rows))


def _numbers(step: LinearStep) -> Iterator[float]:
    square = ((*row, *(0.0,) * (step.stages - len(row))) for row in step.a)
    u, v, b = ((entry.coefficient for row in table for entry in row) for table in (step.u, step.v, step.b))
    return chain(u, chain.from_iterable(square), v, b)


def _role(steps: Sequence[LinearStep], i: int) -> Role:
    """What is saved of the vector number i."""
    makers, readers = ([step for step in steps if n(step) > i] for n in (lambda s: len(s.v), lambda s: len(s.u[0])))
    state = (Entry(1.0, -1), *(Entry(0.0, -1),) * (len(steps) - 1))
    if all(step.v[i] == state[: len(step.v[i])] and not any(map(_counts, step.b[i])) for step in makers):
        return Role.STATE_BEFORE
    if any(_counts(row[i]) for step in readers for row in step.u):
        return Role.KEPT
    return Role.KEPT_WITH_COEFFICIENTS if any(row[i].place >= 0 for row in steps[-1].v) else Role.DROPPED


def _counts(entry: Entry) -> bool:
    return entry.place >= 0 or entry.coefficient != 0
