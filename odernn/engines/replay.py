"""The operators made of torch's own, step by step: what is differentiated a second time.

The fast operators have one derivative. Where a backward pass is itself to be differentiated (`create_graph=True`), it
makes the recurrence again here, under autograd, and takes the derivatives of that, to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.extend import Entry

from ..control.stacked_weights import times
from ..fields.activation import GATED_TANH, LINEAR, LINEAR_PLUS_TANH, TANH
from .intervals import Interval, intervals
from .method import Method
from .program import Operands, Program

Rate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(y, p, u) -> dy/dt, of rows."""
RATES = MappingProxyType({one.name: one.function for one in (TANH, GATED_TANH, LINEAR, LINEAR_PLUS_TANH)})
"""By the kind of a program."""


def replay(operands: Operands, program: Program, rate: Rate | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """What the operator `solve` gives with `save`: the states saved, the last, of the two-step method the last but one.

    Args:
        operands: as the operator takes them: sequences of several lengths and the weights of several networks are
            among them.
        program: likewise.
        rate: of the kind "traced"; of any other its own.
    """
    if rate is None:
        function = RATES[program.kind]
        rate = lambda y, p, u: function(p, u)  # noqa: E731
    step = _STEPS[program.method.family](program.method, operands.weight, rate)
    run = _Run(operands.y0, operands.y_previous, operands.dt_previous)
    for interval in intervals(operands, program):
        run.leave(len(interval.u))
        for k in range(program.substeps):
            step(run, interval, k / program.substeps, program.substeps)
            if program.method.family == "two-step" or k + 1 == program.substeps:
                run.saved.append(run.y)
    last, last_but_one = run.ends()
    return _as_saved(run.saved, operands, program), last, last_but_one


@dataclass
class _Run:
    """The rows that go on, and those that have ended; the longest sequences come first.

    Attributes:
        y: the state.
        previous: of the two-step method the state one solver step before; None before its start.
        dt_previous: the length of that step, (rows,) or (rows, 1), or None: as the next one.
        ended: the last state and, two-step method, the last but one, of the rows that have ended, the last of them
            first.
        saved: the states that the operator saves.
    """

    y: Tensor
    previous: Tensor | None
    dt_previous: Tensor | None
    ended: list[tuple[Tensor, Tensor | None]] = field(default_factory=list)
    saved: list[Tensor] = field(default_factory=list)

    def leave(self, count: int) -> None:
        """Only the first `count` rows go on."""
        if count == len(self.y):
            return
        previous, dt = self.previous, self.dt_previous
        self.ended.insert(0, (self.y[count:], None if previous is None else previous[count:]))
        self.y = self.y[:count]
        self.previous = None if previous is None else previous[:count]
        self.dt_previous = dt if dt is None or not dt.ndim else dt[:count]

    def ends(self) -> tuple[Tensor, Tensor]:
        """The last state of every row, and the last but one or nothing."""
        every = [(self.y, self.previous), *self.ended]
        last, before = torch.cat([y for y, _ in every]), [previous for _, previous in every if previous is not None]
        return last, torch.cat(before) if before else last.new_empty(0)


_Step = Callable[[_Run, Interval, float, int], None]
"""(run, interval, the fraction where the step begins, steps in the interval): one solver step on."""


def _as_saved(states: Sequence[Tensor], operands: Operands, program: Program) -> Tensor:
    """States in the order in which the operator saves them."""
    index, samples = operands.index, operands.samples
    if index is None:
        return torch.stack(list(states))
    if program.packed:
        return torch.cat(list(states))
    each = program.substeps if program.method.family == "two-step" else 1
    rows = torch.cat([torch.stack(list(states[n : n + each]), dim=1) for n in range(0, len(states), each)])
    return rows.new_zeros(samples.shape[0], *rows.shape[1:]).index_put((index,), rows).flatten(0, 1)


def _tableau(method: Method, weight: Tensor, rate: Rate) -> _Step:
    """An explicit tableau, whose entries may be numbers or name matrices, and whose stages may move one half each."""
    entries = method.entries

    def advance(run: _Run, interval: Interval, begin: float, substeps: int) -> None:
        y, dt = run.y, interval.dt / substeps
        slopes: list[Tensor] = []
        for i, row in enumerate(entries.a):
            state = _combined(interval, entries.flows[i], y, dt, row, slopes)
            slope = rate(state, times(state, weight.mT), interval.control(begin + method.c[i] / substeps))
            slopes.append(_only_half(slope, method.moved[i]) if method.moved else slope)
        run.y = _combined(interval, entries.flows[-1], y, dt, entries.b, slopes)

    return advance


def _combined(
    interval: Interval, flow: Entry, y: Tensor, dt: Tensor, row: Sequence[Entry], slopes: Sequence[Tensor]
) -> Tensor:
    """The flow's matrix times y, and dt times the sum of the entries times the slopes."""
    result = _applied(interval, flow, y)
    for entry, slope in zip(row, slopes, strict=True):
        if entry.coefficient:
            result = result + dt * entry.coefficient * _applied(interval, entry, slope)
    return result


def _applied(interval: Interval, entry: Entry, x: Float[Tensor, "rows n"]) -> Float[Tensor, "rows n"]:
    """The matrix that an entry names times x; x itself where that is the identity."""
    if entry.place < 0:
        return x
    assert interval.matrices is not None
    matrix, halves = interval.matrices.select(-4, entry.place), x.unflatten(-1, (2, -1))
    if matrix.ndim == 3:
        return torch.einsum("ijn,bjn->bin", matrix, halves).flatten(1)
    return torch.einsum("mijn,mbjn->mbin", matrix, halves.unflatten(0, (len(matrix), -1))).flatten(2).flatten(0, 1)


def _only_half(slope: Tensor, half: int) -> Tensor:
    """The slope of one half of the state, zero in the other."""
    parts = list(slope.chunk(2, dim=-1))
    parts[1 - half] = torch.zeros_like(parts[1 - half])
    return torch.cat(parts, dim=-1)


def _shears(method: Method, weight: Tensor, rate: Rate) -> _Step:
    """Kicks and drifts: each moves one half of the state along the other."""
    n = weight.shape[-1] // 2
    weights = weight[..., :n, n:].mT, weight[..., n:, :n].mT

    def advance(run: _Run, interval: Interval, begin: float, substeps: int) -> None:
        halves, dt = list(run.y.chunk(2, dim=-1)), interval.dt / substeps
        for half, share, node in zip(method.moved, method.b, method.c, strict=True):
            u = interval.control(begin + node / substeps).unflatten(-1, (-1, 2, n))[..., half, :].flatten(-2)
            slope = rate(halves[half], times(halves[1 - half], weights[half]), u)
            halves[half] = halves[half] + dt * share * slope
        run.y = torch.cat(halves, dim=-1)

    return advance


def _two_step(method: Method, weight: Tensor, rate: Rate) -> _Step:
    """y_{j+1} = r^2 y_{j-1} + (1 - r^2) y_j + d (1 + r) f(y_j), r the ratio of the step d to the one before.

    It is started by the explicit midpoint method.
    """

    def slope(y: Tensor, u: Tensor) -> Tensor:
        return rate(y, times(y, weight.mT), u)

    def advance(run: _Run, interval: Interval, begin: float, substeps: int) -> None:
        y, dt = run.y, interval.dt / substeps
        first = slope(y, interval.control(begin))
        if run.previous is None:
            found = y + dt * slope(y + 0.5 * dt * first, interval.control(begin + 0.5 / substeps))
        else:
            before = dt if run.dt_previous is None else _column(run.dt_previous)
            r = dt / before.to(dt.dtype)
            found = r * r * run.previous + (1 - r * r) * y + dt * (1 + r) * first
        run.y, run.previous, run.dt_previous = found, y, dt

    return advance


def _column(dt: Tensor) -> Tensor:
    """A step (rows,) as (rows, 1); one of another shape as it is."""
    return dt.unsqueeze(1) if dt.ndim == 1 else dt


_STEPS: dict[str, Callable[[Method, Tensor, Rate], _Step]] = {
    "runge-kutta": _tableau,
    "exponential": _tableau,
    "shears": _shears,
    "two-step": _two_step,
}
