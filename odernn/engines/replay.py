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
from .linear_method import linear_method, step_vectors
from .method import Method
from .program import Operands, Program

Rate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(y, p, u) -> dy/dt, of rows."""
RATES = MappingProxyType({one.name: one.function for one in (TANH, GATED_TANH, LINEAR, LINEAR_PLUS_TANH)})
"""The rates by the kind of a program."""


def replay(operands: Operands, program: Program, rate: Rate | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """What the operator `solve` gives with `save`: the states saved, the last, the other vectors at the end.

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
    others = () if operands.carried is None else operands.carried.unbind(0)
    run = _Run(operands.y0, list(others), operands.coefficients)
    for interval in intervals(operands, program):
        run.leave(len(interval.u))
        for k in range(program.substeps):
            step(run, interval, k / program.substeps, program.substeps)
            if program.method.family == "general-linear" or k + 1 == program.substeps:
                run.saved.append(run.y)
    return _as_saved(run.saved, operands, program), *run.ends()


@dataclass
class _Run:
    """The rows that go on, and those that have ended; the longest sequences come first.

    Attributes:
        y: the state.
        others: the vectors besides the state of a general linear method.
        coefficients: those that are given, (time, substeps, 1 or rows, numbers), or None.
        steps: solver steps made.
        ended: the last state and the other vectors of the rows that have ended, the last of them first.
        saved: the states that the operator saves.
    """

    y: Tensor
    others: list[Tensor]
    coefficients: Tensor | None
    steps: int = 0
    ended: list[tuple[Tensor, list[Tensor]]] = field(default_factory=list)
    saved: list[Tensor] = field(default_factory=list)

    def leave(self, count: int) -> None:
        """Only the first `count` rows go on."""
        if count == len(self.y):
            return
        self.ended.insert(0, (self.y[count:], [each[count:] for each in self.others]))
        self.y, self.others = self.y[:count], [each[:count] for each in self.others]

    def given(self, substeps: int) -> Tensor | None:
        """The coefficients (rows, numbers) of the next step."""
        n, k = divmod(self.steps, substeps)
        if self.coefficients is None or k >= self.coefficients.shape[1]:
            return None
        return self.coefficients[n, k, : len(self.y)]

    def ends(self) -> tuple[Tensor, Tensor]:
        """The last state of every row, and the other vectors or nothing."""
        every = [(self.y, self.others), *self.ended]
        last = torch.cat([y for y, _ in every])
        others = [torch.cat(each) for each in zip(*(others for _, others in every), strict=True)]
        return last, torch.stack(others) if others else last.new_empty(0)


_Step = Callable[[_Run, Interval, float, int], None]
"""(run, interval, the fraction where the step begins, steps in the interval): one solver step on."""


def _as_saved(states: Sequence[Tensor], operands: Operands, program: Program) -> Tensor:
    """States in the order in which the operator saves them."""
    index, samples = operands.index, operands.samples
    if index is None:
        return torch.stack(list(states))
    if program.packed:
        return torch.cat(list(states))
    each = program.substeps if program.method.family == "general-linear" else 1
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


def _vectors(method: Method, weight: Tensor, rate: Rate) -> _Step:
    """A general linear method."""
    linear = linear_method(method)

    def advance(run: _Run, interval: Interval, begin: float, substeps: int) -> None:
        def slope(y: Tensor, c: float) -> Tensor:
            return rate(y, times(y, weight.mT), interval.control(begin + c / substeps))

        step, dt = linear.steps[len(run.others)], interval.dt / substeps
        run.y, *run.others = step_vectors(step, run.given(substeps), slope, dt, [run.y, *run.others])
        run.steps += 1

    return advance


_STEPS: dict[str, Callable[[Method, Tensor, Rate], _Step]] = {
    "runge-kutta": _tableau,
    "exponential": _tableau,
    "shears": _shears,
    "general-linear": _vectors,
}
