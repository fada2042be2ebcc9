"""The fixed-step loop: a solver stepping through a sequence of intervals, each with its own right-hand side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from .recurrence import Recurrence
from .solver import Memory, Solver
from .structure import RightHandSide, Time


@dataclass(frozen=True, slots=True)
class Interval:
    """The time from one sample to the next: it starts at `t`, lasts `dt` and has the right-hand side `f`."""

    f: RightHandSide
    t: Time
    dt: Time


Inputs = tuple[Tensor | None, ...]
Layout = Callable[[Inputs, int, int], Sequence[Interval]]
"""(inputs, start, stop) -> the intervals from `start` to `stop`, made of the inputs."""
TensorForm = Callable[[Inputs, int, int], Recurrence]
"""(inputs, start, stop) -> the part from interval `start` to `stop` as a recurrence in tensors."""


@dataclass(frozen=True)
class Problem:
    """An initial value problem laid out for a fixed-step solver.

    The intervals are a function of `inputs`, so that an adjoint can make a part of them again, from these tensors or
    from others in their place, and need not keep what they are made of.

    Attributes:
        solver: the method.
        layout: makes intervals of the inputs.
        inputs: the tensors that the intervals are made of and that gradients flow to, besides the parameters.
        length: how many intervals there are.
        substeps: solver steps that fill an interval.
        y0: the state at the start (..., n).
        memory: the solver's memory at the start, or None to start it afresh.
        parameters: the leaf tensors that the right-hand sides close over; None if they are not known.
        tensor_form: the same problem as a recurrence in tensors, where the right-hand side has that structure.
    """

    solver: Solver
    layout: Layout
    inputs: Inputs
    length: int
    substeps: int
    y0: Tensor
    memory: Memory | None = None
    parameters: tuple[Tensor, ...] | None = None
    tensor_form: TensorForm | None = None

    @cached_property
    def intervals(self) -> Sequence[Interval]:
        """All intervals, in order."""
        return self.layout(self.inputs, 0, self.length)

    @property
    def recurrence(self) -> Recurrence | None:
        """The whole problem in tensors, or None."""
        return None if self.tensor_form is None else self.tensor_form(self.inputs, 0, self.length)

    def segment(self, start: int, stop: int, y: Tensor, memory: Memory | None, inputs: Inputs) -> Problem:
        """The part from interval `start` to `stop`, from the state `y`, made of `inputs`."""
        form = self.tensor_form
        return replace(
            self,
            layout=lambda given, first, last: self.layout(given, start + first, start + last),
            inputs=inputs,
            length=stop - start,
            y0=y,
            memory=memory,
            tensor_form=None if form is None else lambda given, first, last: form(given, start + first, start + last),
        )

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
