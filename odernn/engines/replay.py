"""The operators made of torch's own, step by step: what is differentiated a second time.

The fast operators have one derivative. Where a backward pass is itself to be differentiated (`create_graph=True`), it
makes the recurrence again here, under autograd, and takes the derivatives of that, to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.extend import Entry

from ..control.hold import HOLDS, Hold
from ..control.input_map import AffineControl
from ..fields.activation import GATED_TANH, LINEAR, LINEAR_PLUS_TANH, TANH
from .method import Method
from .program import Operands, Program

Rate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(y, p, u) -> dy/dt, of rows."""
RATES = MappingProxyType({one.name: one.function for one in (TANH, GATED_TANH, LINEAR, LINEAR_PLUS_TANH)})
"""By the kind of a program."""


def replay(operands: Operands, program: Program, rate: Rate | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """What the operator `solve` gives with `save`: the states saved, the last, of the two-step method the last but one.

    Args:
        operands: as the operator takes them; sequences of several lengths are among them.
        program: likewise.
        rate: of the kind "traced"; of any other its own.
    """
    if rate is None:
        function = RATES[program.kind]
        rate = lambda y, p, u: function(p, u)  # noqa: E731
    step = _STEPS[program.method.family](program.method, operands.weight, rate)
    run = _Run(operands.y0, operands.y_previous, operands.dt_previous)
    for interval in _intervals(operands, program):
        run.leave(len(interval.u))
        for k in range(program.substeps):
            step(run, interval, k / program.substeps, program.substeps)
            if program.method.family == "two-step" or k + 1 == program.substeps:
                run.saved.append(run.y)
    last, last_but_one = run.ends()
    return _as_saved(run.saved, operands, program), last, last_but_one


class _Interval(NamedTuple):
    """What drives the rows that have a sample at a time.

    Attributes:
        u: the control of the sample.
        earlier: that of the sample before.
        dt: the length, of shape () or (rows, 1).
        hold: how the control runs from one to the other.
        matrices: of an exponential method (matrices, 2, 2, n / 2), or None.
    """

    u: Tensor
    earlier: Tensor
    dt: Tensor
    hold: Hold
    matrices: Tensor | None

    def control(self, fraction: float) -> Tensor:
        """The control at a fraction of the interval."""
        return self.hold.between(self.earlier, self.u, fraction)


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


_Step = Callable[[_Run, _Interval, float, int], None]
"""(run, interval, the fraction where the step begins, steps in the interval): one solver step on."""


def _intervals(operands: Operands, program: Program) -> Iterator[_Interval]:
    samples, index, lengths = operands.samples, operands.index, operands.lengths
    control = AffineControl(operands.input_weight, operands.bias, program.squash == "tanh")
    hold, matrices = HOLDS[program.hold], operands.blocks
    if index is None or lengths is None:
        controls: Sequence[Tensor] = control(samples).unbind(0)
        steps = _steps(operands.dt.to(operands.y0.dtype) if operands.dt.ndim else operands.dt, len(controls))
    else:
        counts = (torch.arange(int(lengths[0]), device=lengths.device).unsqueeze(1) < lengths).sum(1).tolist()
        controls = control(samples[index]).split(counts)
        dt = operands.dt
        steps = dt.to(operands.y0.dtype).unsqueeze(1).split(counts) if dt.ndim else [dt] * len(counts)
    earlier = controls[0] if operands.before is None else operands.before
    for n, (u, dt) in enumerate(zip(controls, steps, strict=True)):
        own = None if matrices is None else matrices[n if len(matrices) > 1 else 0]
        yield _Interval(u, earlier[: len(u)], dt, hold, own)
        earlier = u


def _steps(dt: Tensor, length: int) -> Sequence[Tensor]:
    """A step (), (time,) or (batch, time) as one an interval."""
    if dt.ndim == 2:
        return dt.T.unsqueeze(-1).unbind(0)
    return dt.unbind(0) if dt.ndim else [dt] * length


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

    def advance(run: _Run, interval: _Interval, begin: float, substeps: int) -> None:
        y, dt = run.y, interval.dt / substeps
        slopes: list[Tensor] = []
        for i, row in enumerate(entries.a):
            state = _combined(interval, entries.flows[i], y, dt, row, slopes)
            slope = rate(state, state @ weight.T, interval.control(begin + method.c[i] / substeps))
            slopes.append(_only_half(slope, method.moved[i]) if method.moved else slope)
        run.y = _combined(interval, entries.flows[-1], y, dt, entries.b, slopes)

    return advance


def _combined(
    interval: _Interval, flow: Entry, y: Tensor, dt: Tensor, row: Sequence[Entry], slopes: Sequence[Tensor]
) -> Tensor:
    """The flow's matrix times y, and dt times the sum of the entries times the slopes."""
    result = _times(interval, flow, y)
    for entry, slope in zip(row, slopes, strict=True):
        if entry.coefficient:
            result = result + dt * entry.coefficient * _times(interval, entry, slope)
    return result


def _times(interval: _Interval, entry: Entry, x: Float[Tensor, "rows n"]) -> Float[Tensor, "rows n"]:
    """The matrix that an entry names times x; x itself where that is the identity."""
    if entry.place < 0:
        return x
    assert interval.matrices is not None
    return torch.einsum("ijn,bjn->bin", interval.matrices[entry.place], x.unflatten(-1, (2, -1))).flatten(1)


def _only_half(slope: Tensor, half: int) -> Tensor:
    """The slope of one half of the state, zero in the other."""
    parts = list(slope.chunk(2, dim=-1))
    parts[1 - half] = torch.zeros_like(parts[1 - half])
    return torch.cat(parts, dim=-1)


def _shears(method: Method, weight: Tensor, rate: Rate) -> _Step:
    """Kicks and drifts: each moves one half of the state along the other."""
    n = weight.shape[1] // 2
    weights = weight[:n, n:], weight[n:, :n]

    def advance(run: _Run, interval: _Interval, begin: float, substeps: int) -> None:
        halves, dt = list(run.y.chunk(2, dim=-1)), interval.dt / substeps
        for half, share, node in zip(method.moved, method.b, method.c, strict=True):
            u = interval.control(begin + node / substeps).unflatten(-1, (-1, 2, n))[..., half, :].flatten(-2)
            slope = rate(halves[half], halves[1 - half] @ weights[half].T, u)
            halves[half] = halves[half] + dt * share * slope
        run.y = torch.cat(halves, dim=-1)

    return advance


def _two_step(method: Method, weight: Tensor, rate: Rate) -> _Step:
    """y_{j+1} = r^2 y_{j-1} + (1 - r^2) y_j + d (1 + r) f(y_j), r the ratio of the step d to the one before.

    It is started by the explicit midpoint method.
    """

    def slope(y: Tensor, u: Tensor) -> Tensor:
        return rate(y, y @ weight.T, u)

    def advance(run: _Run, interval: _Interval, begin: float, substeps: int) -> None:
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
