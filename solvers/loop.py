"""The fixed-step loop: a solver stepping through a sequence of intervals, each with its own right-hand side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from .right_hand_side import RightHandSide, Time
from .solver import Carry, Solver


@dataclass(frozen=True, slots=True)
class Interval:
    """The time from one sample to the next: it starts at `t`, lasts `dt` and has the right-hand side `f`."""

    f: RightHandSide
    t: Time
    dt: Time


Inputs = tuple[Tensor | None, ...]
"""The tensors that the intervals of a problem are made of."""
Layout = Callable[[Inputs, int, int, int], Sequence[Interval]]
"""(inputs, start, stop, offset) -> the intervals from `start` to `stop`, made of the inputs.

The timed inputs begin with their entry for interval `offset`; interval n > offset may look at the entry before its own.
"""


@dataclass(frozen=True)
class Problem:
    """An initial value problem for a fixed-step solver.

    The intervals are a function of `inputs`, so that an adjoint can make a part of them again, from these tensors or
    from others in their place, and need not keep what they are made of.

    Attributes:
        solver: the method.
        layout: makes intervals of the inputs.
        inputs: the tensors that the intervals are made of and that gradients flow to, besides the parameters.
        timed: for each input whether its first dimension is time, one entry an interval.
        length: how many intervals there are.
        substeps: solver steps that fill an interval.
        y0: the state at the start (..., n).
        carry: the solver's carry at the start, or None to start it afresh.
        parameters: gives the leaf tensors that the right-hand sides close over; None if they are not known.
        origin: the number of the first interval, which is not 0 for a part of a longer problem.
        roots: the functions or modules that the right-hand sides are made of, besides the inputs.
    """

    solver: Solver
    layout: Layout
    inputs: Inputs
    timed: tuple[bool, ...]
    length: int
    substeps: int
    y0: Tensor
    carry: Carry | None = None
    parameters: Callable[[], tuple[Tensor, ...]] | None = None
    origin: int = 0
    roots: tuple[object, ...] = ()

    def intervals(self) -> Sequence[Interval]:
        """All intervals, in order, made again."""
        return self.layout(self.inputs, self.origin, self.origin + self.length, 0)

    def first(self) -> Interval:
        """The first interval, made again."""
        return self.layout(self.inputs, self.origin, self.origin + 1, 0)[0]

    def chunk(self, start: int, stop: int, y: Tensor, carry: Carry | None) -> Self:
        """The part from its interval `start` to `stop`, from the state `y`."""
        return replace(self, length=stop - start, y0=y, carry=carry, origin=self.origin + start)

    def start(self, first: Interval | None = None) -> Carry:
        """The carry before the first step; the first interval is made again where it is not given."""
        if self.carry is not None:
            return self.carry
        first = self.first() if first is None else first
        return self.solver.init(first.f, first.t, first.dt / self.substeps, self.y0)


def problem_of(solver: Solver, intervals: Sequence[Interval], y0: Tensor) -> Problem:
    """The problem of intervals that are simply there, one solver step each, made of nothing that is known."""
    return Problem(
        solver,
        lambda inputs, start, stop, offset: intervals[start:stop],
        *((), (), len(intervals), 1, y0),
        roots=tuple({id(each.f): each.f for each in intervals}.values()),
    )


def steps(problem: Problem) -> Iterator[tuple[Time, Tensor, Carry]]:
    """Step through the problem, yielding (time at the end, state, carry) after every solver step."""
    intervals = problem.intervals()
    y, carry = problem.y0, problem.start(intervals[0])
    for interval in intervals:
        dt = interval.dt / problem.substeps
        for k in range(problem.substeps):
            t = interval.t + k * dt if k else interval.t
            y, carry = problem.solver.step(interval.f, t, dt, y, carry)
            yield t + dt, y, carry


def states(problem: Problem) -> Iterator[tuple[Tensor, Carry]]:
    """Step through the problem, yielding (state, carry) at the end of every interval."""
    for count, (_, y, carry) in enumerate(steps(problem), start=1):
        if count % problem.substeps == 0:
            yield y, carry
