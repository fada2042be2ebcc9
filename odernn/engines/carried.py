"""What a method that carries several vectors continues from, as the operators take it, and what it carries on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.extend import Carry, Schemes, Time

from .linear_method import coefficients_of
from .problem import RecurrentProblem, Storage, packed_samples


class Carried(NamedTuple):
    """Besides the state.

    Attributes:
        vectors: those that are there, from the second on; None if there are none.
        coefficients: the coefficients that are functions of the ratios of steps, of the first substeps of each
            interval, or None where all steps have one length.
    """

    vectors: Float[Tensor, "vectors batch state"] | None = None
    coefficients: Float[Tensor, "time substeps rows numbers"] | None = None


def carried_of(problem: RecurrentProblem) -> Carried:
    """What a problem's method continues from."""
    schemes = problem.solver.schemes
    if schemes is None or not schemes.starters:
        return Carried()
    vectors, past = schemes.unpack(problem.carry or (), _first_dt(problem) / problem.substeps)
    coefficients = None
    if schemes.ratios and _differ(problem.span.dt, problem.substeps, past[: schemes.ratios]):
        dt = _by_time(problem.span.dt, problem.length, problem.storage, problem.y0)
        coefficients = coefficients_at(schemes, dt / problem.substeps, problem.substeps, past, problem.y0)
    return Carried(_stacked(vectors), coefficients)


def carried_by(schemes: Schemes | None, carry: Carry, step: float, substeps: int, y: Tensor) -> Carried:
    """The same of a method in one interval with so many steps of one length."""
    if schemes is None or not schemes.starters:
        return Carried()
    vectors, past = schemes.unpack(carry, step)
    coefficients = None
    if schemes.ratios and any(isinstance(each, Tensor) or each != step for each in past[: schemes.ratios]):
        steps = y.new_full((1, 1), step, dtype=torch.float64)
        coefficients = coefficients_at(schemes, steps, substeps, past, y)
    return Carried(_stacked(vectors), coefficients)


def carry_of(problem: RecurrentProblem, vectors: Float[Tensor, "vectors batch state"]) -> Carry:
    """What the solver carries on, of the vectors besides the state at the end."""
    schemes = problem.solver.schemes
    if schemes is None or not schemes.starters:
        return problem.carry or ()
    _, past = schemes.unpack(problem.carry or (), _first_dt(problem) / problem.substeps)
    count = len(vectors)
    return schemes.pack(vectors.unbind(0), [*_latest(problem, count), *past][:count])


def coefficients_at(
    schemes: Schemes, step: Float[Tensor, "time rows"], substeps: int, past: Sequence[Time], y0: Tensor
) -> Float[Tensor, "time substeps rows numbers"]:
    """The coefficients of every interval, with a graph to the steps.

    Args:
        schemes: the method.
        step: the lengths of a solver step in every interval.
        substeps: solver steps an interval.
        past: the lengths of the steps before the first, the latest first; what is missing is as long as the oldest.
        y0: a state.
    """
    step = step.to(torch.promote_types(step.dtype, y0.dtype))
    early = [_column(each, step) for each in past[: schemes.ratios]]
    early += [early[-1] if early else step[0]] * (schemes.ratios - len(early))
    rows = max(step.shape[1], *(len(each) for each in early))
    every = step.repeat_interleave(substeps, dim=0) if substeps > 1 else step
    lengths = torch.cat((torch.stack([each.expand(rows) for each in early[::-1]]), every.expand(-1, rows)))
    ratio = lengths[1:] / lengths[:-1]
    latest = [ratio[schemes.ratios - 1 - i : len(ratio) - i] for i in range(schemes.ratios)]
    first = [each.unflatten(0, (-1, substeps))[:, : schemes.ratios] for each in latest]
    return coefficients_of(schemes, first).to(y0.dtype).contiguous()


def _differ(dt: float | Tensor, substeps: int, past: Sequence[Time]) -> bool:
    """Whether any two of the steps may differ."""
    return isinstance(dt, Tensor) or any(isinstance(each, Tensor) or each != dt / substeps for each in past)


def _by_time(dt: float | Tensor, length: int, storage: Storage | None, y0: Tensor) -> Float[Tensor, "time rows"]:
    """The lengths of a problem's intervals; of several lengths 1 where a sequence has ended."""
    if not isinstance(dt, Tensor):
        return y0.new_full((1, 1), dt, dtype=torch.float64).expand(length, 1)
    if storage is None:
        return dt.reshape(len(dt), -1)
    number, row = packed_samples(storage.lengths)
    return dt.new_ones(int(storage.lengths[0]), len(y0)).index_put((number, row), dt.flatten())


def _column(step: Time, like: Tensor) -> Tensor:
    """A step, a number or a tensor of shape (), (1, 1) or (batch, 1), as (rows,)."""
    return step.to(like).reshape(-1) if isinstance(step, Tensor) else like.new_full((1,), step)


def _stacked(vectors: Sequence[Tensor]) -> Tensor | None:
    if len(vectors) == 1:  # with no copy where it is not needed
        return vectors[0].contiguous().unsqueeze(0)
    return torch.stack(list(vectors)) if vectors else None


def _first_dt(problem: RecurrentProblem) -> Time:
    dt = problem.span.dt
    if not isinstance(dt, Tensor):
        return dt
    return dt[0] if problem.storage is None else dt[0, : len(problem.y0)].unsqueeze(1)


def _latest(problem: RecurrentProblem, count: int) -> list[Time]:
    """The lengths of the last solver steps, the latest first: so many, or all if there are fewer."""
    dt, substeps = problem.span.dt, problem.substeps
    if isinstance(dt, Tensor) and problem.storage is not None:
        return [dt[0, problem.storage.ends].unsqueeze(1) / substeps] * min(count, substeps)
    intervals = -(-count // substeps)
    if intervals > 1:  # a comparison with the length would fix it where torch.export leaves it open
        intervals = min(intervals, problem.length)
    lengths = (dt[-1 - i] if isinstance(dt, Tensor) else dt for i in range(intervals))
    return [length / substeps for length in lengths for _ in range(substeps)]
