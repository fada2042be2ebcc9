"""What a solver carries from call to call, as the vectors and steps that a stepper goes on from, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from solvers import LeapfrogMidpoint
from solvers.extend import Carry, Schemes, Time

from ..problem import RecurrentProblem

Past = tuple[float, ...] | Tensor
"""The lengths of the steps before the first, the latest first: numbers, or a tensor (steps, batch, 1)."""


def begun(problem: RecurrentProblem) -> RecurrentProblem:
    """The problem with what its method carries before the first step, of a method that carries anything."""
    if problem.carry is not None or not _schemes(problem).starters:
        return problem
    return problem.chunk(0, problem.length, problem.y0, problem.start())


def missing_vectors(problem: RecurrentProblem) -> int:
    """How many steps a method needs before all its vectors are there, of those that cannot start in parallel."""
    if isinstance(problem.solver, LeapfrogMidpoint):
        return 0
    vectors, _ = _unpacked(problem)
    return _schemes(problem).vectors - 1 - len(vectors)


def earlier_of(problem: RecurrentProblem) -> tuple[Tensor | None, Past]:
    """The vectors besides the state (vectors, batch, n), the last one first, and the steps before; None to start."""
    vectors, steps = _unpacked(problem)
    if not vectors:
        return None, ()
    steps = steps[: _schemes(problem).ratios]
    return torch.stack(vectors[::-1]), _past(steps, problem.y0)


def carry_of(problem: RecurrentProblem, earlier: Sequence[Tensor]) -> Carry:
    """What the solver carries on, of the vectors besides the state at the end, the last one first."""
    if not earlier:
        return problem.carry or ()
    _, before = _unpacked(problem)
    needed = len(earlier)
    return _schemes(problem).pack(earlier[::-1], [*_latest(problem, needed), *before][:needed])


def _latest(problem: RecurrentProblem, count: int) -> list[Time]:
    """The lengths of the last solver steps, the latest first: so many, or all if there are fewer."""
    dt, substeps = problem.span.dt, problem.substeps
    intervals = -(-count // substeps)
    if intervals > 1:  # a comparison with the length would fix it where torch.export leaves it open
        intervals = min(intervals, problem.length)
    lengths = (dt[-1 - i] if isinstance(dt, Tensor) else dt for i in range(intervals))
    return [length / substeps for length in lengths for _ in range(substeps)]


def _unpacked(problem: RecurrentProblem) -> tuple[list[Tensor], list[Time]]:
    if not problem.carry or problem.solver.schemes is None:  # an exponential method carries what it has prepared
        return [], []
    dt = problem.span.dt
    return _schemes(problem).unpack(problem.carry, (dt[0] if isinstance(dt, Tensor) else dt) / problem.substeps)


def _schemes(problem: RecurrentProblem) -> Schemes:
    schemes = problem.solver.schemes
    assert schemes is not None
    return schemes


def _past(steps: Sequence[Time], y0: Tensor) -> Past:
    numbers = tuple(step for step in steps if not isinstance(step, Tensor))
    if len(numbers) == len(steps):
        return numbers
    columns = [step if isinstance(step, Tensor) else y0.new_full((), step) for step in steps]
    return torch.stack([each.to(y0.dtype).reshape(-1, 1).expand(len(y0), 1) for each in columns])
