"""Exponential Runge-Kutta methods on a recurrence whose linear part is made of 2 x 2 blocks.

Y_i = U_i y + dt sum_j A_ij k_j, k_i = pointwise(Y_i, Y_i K^T, u_i), y_next = U y + dt sum_i B_i k_i, where U_i, U, A_ij
and B_i are numbers or block-diagonal matrices and the recurrence is that of the remainder. With lambda = dL/dy_next,
for i = s..1: kappa_i = B_i^T lambda + sum_{j>i} A_ji^T mu_j and mu_i is what comes back through Y_i; then
dL/dy = U^T lambda + sum_i U_i^T mu_i. A matrix's gradient is the sum of the outer products, block by block, of what
comes back through its result and what it was applied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from solvers import BlockDiagonal
from solvers.extend import Entry, apply_matrix

from ..recurrence import Recurrence
from .arithmetic import combine_into
from .chunk import Chunk
from .control_path import ControlPath
from .stage import Stage
from .stepper import States


@dataclass(frozen=True, slots=True)
class BlockScheme:
    """A tableau whose entries name blocks that are given.

    Attributes:
        flows: what y is multiplied by in each stage and, last, over the whole step.
        a: one row a stage, with the entries before the diagonal.
        b: the weights.
        c: the nodes.
        blocks: the matrices that the entries name (steps, matrices, 2, 2, n / 2), one set for all intervals or one
            each.
    """

    flows: tuple[Entry, ...]
    a: tuple[tuple[Entry, ...], ...]
    b: tuple[Entry, ...]
    c: tuple[float, ...]
    blocks: Tensor

    @property
    def stages(self) -> int:
        """The number of stages."""
        return len(self.b)

    def matrices(self, start: int, stop: int) -> list[BlockDiagonal]:
        """Those of the intervals from `start` to `stop`, for states (time, batch, n)."""
        blocks = self.blocks if len(self.blocks) == 1 else self.blocks[start:stop]
        return [BlockDiagonal(matrix.unsqueeze(1)) for matrix in blocks.unbind(1)]

    def matrices_of_each(self, start: int, stop: int) -> list[list[BlockDiagonal]]:
        """Those of each interval, for states (batch, n)."""
        if len(self.blocks) == 1:
            return [[BlockDiagonal(matrix) for matrix in self.blocks[0].unbind(0)]] * (stop - start)
        return [[BlockDiagonal(matrix) for matrix in step.unbind(0)] for step in self.blocks[start:stop].unbind(0)]


class _Substep(NamedTuple):
    """What a solver step in every interval of a chunk leaves for the gradient of the blocks.

    Attributes:
        start: the states before it (time, batch, n).
        stages: its evaluations.
        end: room for dL by the states after it.
        mus: room for what comes back through each stage's state.
    """

    start: Tensor
    stages: list[Stage]
    end: Tensor
    mus: list[Tensor]


class ExponentialStepper:
    """A scheme of blocks as a Stepper.

    Args:
        scheme: the method.
        recurrence: the remainder.
        substeps: solver steps an interval.
        like: a tensor like the state.

    Attributes:
        gradient: dL by the blocks, of the chunks that the recursion has gone through.
    """

    kept = 1
    previous_step_gradient = None

    def __init__(self, scheme: BlockScheme, recurrence: Recurrence, substeps: int, like: Tensor) -> None:
        self.scheme = scheme
        self.substeps = substeps
        self.evaluations = substeps * scheme.stages
        self.images, self.units = recurrence.weight.shape
        self.gradient = torch.zeros_like(scheme.blocks)
        self._pointwise = recurrence.scheme.pointwise
        self._weight = recurrence.weight.T
        self._room = [like.new_empty(*like.shape[:-1], self.images) for _ in range(scheme.stages)]
        self._steps: list[_Substep] = []
        self._transposed: list[list[BlockDiagonal]] = []

    def advance(self, drive: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Every stage in its turn."""
        places = [(k, i) for k in range(self.substeps) for i in range(self.scheme.stages)]
        controls = {(k, i): drive.at(self._fraction(k, i)).unbind(0) for k, i in places}
        each = self.scheme.matrices_of_each(start, start + drive.length)
        for n, (dt, matrices, target) in enumerate(zip(drive.steps(), each, targets, strict=True)):
            for k in range(self.substeps):
                y = self._step(y, dt, matrices, [controls[k, i][n] for i in range(self.scheme.stages)])
            y = target.copy_(y)

    def record(self, chunk: Chunk, states: States) -> None:
        """Every stage, for all times at once."""
        start, stop = chunk.start, chunk.start + chunk.drive.length
        y, dt = states.window(start, stop), chunk.drive.step
        matrices = self.scheme.matrices(start, stop)
        self._steps, self._transposed = [], _transposed(self.scheme.matrices_of_each(start, stop))
        for k in range(self.substeps):
            stages: list[Stage] = []
            for i, row in enumerate(self.scheme.a):
                state = _combined(_applied(self.scheme.flows[i], matrices, y), dt, row, matrices, _slopes(stages))
                stages.append(chunk.evaluate(state, state, self._fraction(k, i)))
            self._steps.append(_Substep(y, stages, torch.empty_like(y), [torch.empty_like(y) for _ in stages]))
            if k + 1 < self.substeps:
                flow = _applied(self.scheme.flows[-1], matrices, y)
                y = _combined(flow, dt, self.scheme.b, matrices, _slopes(stages))

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """The recursion of kappa and mu, substep by substep; at the chunk's start the gradient of the blocks."""
        if later is not None:
            adjoint[0].add_(later[0])
        for step in reversed(self._steps):
            adjoint[0] = self._step_back(step, n, adjoint[0], self._transposed[n])
        if n == 0:
            for step in self._steps:
                self._add_gradient(step, chunk)

    def add_step_gradient(self, chunk: Chunk, states: States, total: Tensor) -> None:
        """A slope enters multiplied by its share of dt, which kappa has; the blocks have gradients of their own."""
        chunk.add_slope_products(total[chunk.start : chunk.start + chunk.drive.length])

    def _fraction(self, k: int, i: int) -> float:
        return (k + self.scheme.c[i]) / self.substeps

    def _step(self, y: Tensor, dt: float | Tensor, matrices: list[BlockDiagonal], controls: Sequence[Tensor]) -> Tensor:
        slopes: list[Tensor] = []
        for flow, row, u, room in zip(self.scheme.flows[:-1], self.scheme.a, controls, self._room, strict=True):
            state = _combined(_applied(flow, matrices, y), dt, row, matrices, slopes)
            slopes.append(self._pointwise(state, torch.mm(state, self._weight, out=room), u))
        return _combined(_applied(self.scheme.flows[-1], matrices, y), dt, self.scheme.b, matrices, slopes)

    def _step_back(self, step: _Substep, n: int, gradient: Tensor, transposed: list[BlockDiagonal]) -> Tensor:
        """dL/dy at the start of a solver step of interval `n` from dL/dy at its end."""
        scheme = self.scheme
        step.end[n] = gradient
        found = _applied(scheme.flows[-1], transposed, gradient)
        for i in reversed(range(scheme.stages)):
            kappa = _scaled(scheme.b[i], transposed, gradient)
            for j in range(i + 1, scheme.stages):
                kappa = _combined(kappa, 1.0, (scheme.a[j][i],), transposed, (step.mus[j][n],))
            step.mus[i][n] = step.stages[i].pull_back(n, kappa)
            found = found + _applied(scheme.flows[i], transposed, step.mus[i][n])
        return found

    def _add_gradient(self, step: _Substep, chunk: Chunk) -> None:
        """What a solver step gives to the blocks that it uses."""
        scheme, slopes = self.scheme, _slopes(step.stages)
        self._add(scheme.flows[-1], chunk, step.end, step.start)
        for i, mu in enumerate(step.mus):
            self._add(scheme.flows[i], chunk, mu, step.start)
            self._add(scheme.b[i], chunk, step.end * chunk.drive.step, slopes[i])
            for j, entry in enumerate(scheme.a[i]):
                self._add(entry, chunk, mu * chunk.drive.step, slopes[j])

    def _add(self, entry: Entry, chunk: Chunk, result: Tensor, source: Tensor) -> None:
        """The outer products of dL/dresult and the source, block by block."""
        if entry.place < 0:
            return
        left, right = result.unflatten(-1, (2, -1)), source.unflatten(-1, (2, -1))
        if len(self.gradient) == 1:
            self.gradient[0, entry.place] += torch.einsum("tbrh,tbch->rch", left, right)
        else:
            times = slice(chunk.start, chunk.start + chunk.drive.length)
            self.gradient[times, entry.place] += torch.einsum("tbrh,tbch->trch", left, right)


def _slopes(stages: Sequence[Stage]) -> list[Tensor]:
    return [stage.linearised.slope.detach() for stage in stages]


def _applied(entry: Entry, matrices: Sequence[BlockDiagonal], x: Tensor) -> Tensor:
    """The entry's matrix times x; x itself where that is the identity."""
    return x if entry.place < 0 else apply_matrix(matrices[entry.place], x)


def _scaled(entry: Entry, matrices: Sequence[BlockDiagonal], x: Tensor) -> Tensor:
    """The entry times x."""
    applied = _applied(entry, matrices, x)
    return applied if entry.coefficient == 1 else entry.coefficient * applied


def _combined(
    y: Tensor,
    dt: float | Tensor,
    entries: Sequence[Entry],
    matrices: Sequence[BlockDiagonal],
    slopes: Sequence[Tensor],
) -> Tensor:
    """Y + dt sum_j entry_j slope_j, in new memory if there is anything to add."""
    pairs = [(e, slope) for e, slope in zip(entries, slopes, strict=False) if e.coefficient != 0]
    if not pairs:
        return y
    applied = [_applied(entry, matrices, slope) for entry, slope in pairs]
    return combine_into(torch.empty_like(y), y, dt, [entry.coefficient for entry, _ in pairs], applied)


def _transposed(each: list[list[BlockDiagonal]]) -> list[list[BlockDiagonal]]:
    """The transposes, made once where all intervals share their matrices."""
    found = [BlockDiagonal(matrix.blocks.transpose(0, 1)) for matrix in each[0]]
    if len(each) == 1 or each[0] is each[1]:
        return [found] * len(each)
    return [[BlockDiagonal(matrix.blocks.transpose(0, 1)) for matrix in matrices] for matrices in each]
