"""The fixed-step loop: a solver stepping through a sequence of intervals, each with its own right-hand side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from .solver import Memory, Solver
from .structure import RightHandSide, Time


@dataclass(frozen=True, slots=True)
class Interval:
    """The time from one sample to the next: it starts at `t`, lasts `dt` and has the right-hand side `f`."""

    f: RightHandSide
    t: Time
    dt: Time


@dataclass(frozen=True, slots=True)
class Problem:
    """An initial value problem laid out for a fixed-step solver.

    Attributes:
        solver: the method.
        intervals: what is to be crossed, in order.
        substeps: solver steps that fill an interval.
        y0: the state at the start (..., n).
        memory: the solver's memory at the start, or None to start it afresh.
    """

    solver: Solver
    intervals: Sequence[Interval]
    substeps: int
    y0: Tensor
    memory: Memory | None = None

    def start(self) -> Memory:
        """The memory before the first step."""
        if self.memory is not None:
            return self.memory
        first = self.intervals[0]
        return self.solver.init(first.f, first.t, first.dt / self.substeps, self.y0)


def steps(problem: Problem) -> Iterator[tuple[Time, Tensor, Memory]]:
    """Step through the problem, yielding (time at the end, state, memory) after every solver step."""
    y, memory = problem.y0, problem.start()
    for interval in problem.intervals:
        dt = interval.dt / problem.substeps
        for k in range(problem.substeps):
            t = interval.t + k * dt if k else interval.t
            y, memory = problem.solver.step(interval.f, t, dt, y, memory)
            yield t + dt, y, memory


def states(problem: Problem) -> Iterator[tuple[Tensor, Memory]]:
    """Step through the problem, yielding (state, memory) at the end of every interval."""
    for count, (_, y, memory) in enumerate(steps(problem), start=1):
        if count % problem.substeps == 0:
            yield y, memory
