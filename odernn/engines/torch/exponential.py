"""Exponential Runge-Kutta methods on a recurrence whose linear part is made of 2 x 2 blocks.

Y_i = U_i y + dt sum_j A_ij k_j, k_i = pointwise(Y_i, Y_i K^T, u_i), y_next = U y + dt sum_i B_i k_i, where U_i, U, A_ij
and B_i are numbers or block-diagonal matrices and the recurrence is that of the remainder. With lambda = dL/dy_next,
for i = s..1: kappa_i = B_i^T lambda + sum_{j>i} A_ji^T mu_j and mu_i is what comes back through Y_i; then
dL/dy = U^T lambda + sum_i U_i^T mu_i. A matrix's gradient is the sum of the outer products, block by block, of what
comes back through its result and what it was applied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor

from solvers.extend import Entry

from ...control.stacked_weights import of_models
from ..method import Method
from ..recurrence import Recurrence
from .block_scheme import BlockScheme, Matrix, applied, combined, scaled, swapped, transposes
from .chunk import Chunk
from .control_path import ControlPath
from .coupling import couplings_of
from .stage import Stage
from .stepper import BlockOperands, States, Stepper


class _Substep(NamedTuple):
    """What a solver step in every interval of a chunk leaves for the gradient of the blocks.

    Attributes:
        start: the states before it (time, batch, n).
        stages: its evaluations.
        end: a buffer for dL by the states after it.
        mus: for each stage a buffer for what comes back through its state, or None if no matrix made that state.
    """

    start: Tensor
    stages: list[Stage]
    end: Tensor
    mus: list[Tensor | None]


@final
class ExponentialStepper(Stepper):
    """A scheme of blocks as a Stepper.

    Args:
        method: the method.
        blocks: the matrices that its entries name (steps, matrices, 2, 2, n / 2), of several networks (models, steps,
            matrices, 2, 2, n / 2).
        recurrence: the remainder.
        substeps: solver steps an interval.
        like: a tensor like the state.
    """

    def __init__(self, method: Method, blocks: Tensor, recurrence: Recurrence, substeps: int, like: Tensor) -> None:
        self.method = method
        self._several = recurrence.weight.ndim == 3
        self.scheme = scheme = BlockScheme(method.entries, method.c, blocks.movedim(0, 1) if self._several else blocks)
        self.substeps = substeps
        self.evaluations = substeps * scheme.stages
        self.preactivations, self.units = recurrence.weight.shape[-2:]
        self._pointwise = recurrence.scheme.pointwise
        (self._coupling,) = couplings_of(recurrence, [None])
        self._like = like
        self._ends: Tensor | None = None
        self._mus: Tensor | None = None
        self._steps: list[_Substep] = []
        self.transposes: list[list[Matrix]] = []

    @cached_property
    def _gradient(self) -> Tensor:
        """What dL by the blocks adds up in."""
        return torch.zeros_like(self.scheme.blocks)

    @cached_property
    def _preactivations(self) -> list[Tensor]:
        """Room for that of each stage; a pass by a kernel wants none."""
        shape = (*self._like.shape[:-1], self.preactivations)
        return [self._like.new_empty(shape) for _ in range(self.scheme.stages)]

    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Every stage in its turn."""
        places = [(k, i) for k in range(self.substeps) for i in range(self.scheme.stages)]
        controls = {(k, i): path.at(self._fraction(k, i)).unbind(0) for k, i in places}
        each = self.scheme.matrices_of_each(start, start + path.length)
        for n, (dt, matrices, target) in enumerate(zip(path.steps(), each, targets, strict=True)):
            for k in range(self.substeps):
                out = target if k + 1 == self.substeps else torch.empty_like(y)
                y = self._step(y, dt, matrices, [controls[k, i][n] for i in range(self.scheme.stages)], out)

    def record(self, chunk: Chunk, states: States) -> None:
        """Every stage, for all times at once."""
        start, stop = chunk.start, chunk.start + chunk.path.length
        y, dt = states.window(start, stop), chunk.path.step
        matrices = self.scheme.matrices(start, stop)
        self._steps, self.transposes = [], transposes(self.scheme.matrices_of_each(start, stop))
        made = [i for i in range(self.scheme.stages) if self.scheme.entries.is_made_by_a_matrix(i)]
        self._ends = ends = y.new_empty(stop - start, self.substeps, *y.shape[1:])
        self._mus = y.new_empty(stop - start, self.substeps, len(made), *y.shape[1:]) if made else None
        for k in range(self.substeps):
            stages: list[Stage] = []
            for i, row in enumerate(self.scheme.entries.a):
                state = combined(applied(self.scheme.entries.flows[i], matrices, y), dt, row, matrices, _slopes(stages))
                stages.append(chunk.evaluate(state, state, self._coupling, self._fraction(k, i)))
            mus: list[Tensor | None] = [None] * len(stages)
            if self._mus is not None:
                for place, i in enumerate(made):
                    mus[i] = self._mus[:, k, place]
            self._steps.append(_Substep(y, stages, ends[:, k], mus))
            if k + 1 < self.substeps:
                flow = applied(self.scheme.entries.flows[-1], matrices, y)
                y = combined(flow, dt, self.scheme.entries.b, matrices, _slopes(stages))

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """The recursion of kappa and mu, substep by substep."""
        if later is not None:
            adjoint[0].add_(later[0])
        for step in reversed(self._steps):
            adjoint[0] = self._step_back(step, n, adjoint[0], self.transposes[n])

    def finish_chunk(self, chunk: Chunk) -> None:
        """What the chunk, with `ends` and `mus` filled in, gives to the blocks."""
        for step in self._steps:
            self._add_gradient(step, chunk)

    def gradient_by_blocks(self) -> Tensor:
        """The gradient by the blocks over all chunks that the recursion has gone through."""
        return self._gradient.movedim(1, 0).contiguous() if self._several else self._gradient

    def block_operands(self, chunk: Chunk) -> BlockOperands:
        """The matrices, and the buffers that `finish_chunk` reads."""
        assert self._ends is not None
        blocks = self.scheme.blocks
        if len(blocks) > 1:
            blocks = blocks[chunk.start : chunk.start + chunk.path.length]
        return BlockOperands(blocks, self._ends, self._mus)

    def _fraction(self, k: int, i: int) -> float:
        return (k + self.scheme.c[i]) / self.substeps

    def _step(
        self, y: Tensor, dt: float | Tensor, matrices: list[Matrix], controls: Sequence[Tensor], out: Tensor
    ) -> Tensor:
        """One solver step from `y` into `out`."""
        slopes: list[Tensor] = []
        for flow, row, u, buffer in zip(
            self.scheme.entries.flows[:-1], self.scheme.entries.a, controls, self._preactivations, strict=True
        ):
            state = combined(applied(flow, matrices, y), dt, row, matrices, slopes)
            slopes.append(self._pointwise(state, self._coupling.times(state, buffer), u))
        flow = applied(self.scheme.entries.flows[-1], matrices, y)
        found = combined(flow, dt, self.scheme.entries.b, matrices, slopes, out)
        return found if found is out else out.copy_(found)

    def _step_back(self, step: _Substep, n: int, gradient: Tensor, transposed: list[Matrix]) -> Tensor:
        """dL/dy at the start of a solver step of interval `n` from dL/dy at its end."""
        scheme = self.scheme
        step.end[n].copy_(gradient)
        flow = scheme.entries.flows[-1]
        found = gradient.clone() if flow.place < 0 else transposed[flow.place].times(gradient)
        returned: dict[int, Tensor] = {}
        for i in reversed(range(scheme.stages)):
            kappa = scaled(scheme.entries.b[i], transposed, gradient)
            for j, mu in returned.items():
                kappa = combined(kappa, 1.0, (scheme.entries.a[j][i],), transposed, (mu,))
            buffer = step.mus[i]
            if i == 0 and buffer is None:
                step.stages[0].pull_back_onto(n, kappa, found)
                break
            returned[i] = mu = step.stages[i].pull_back(n, kappa)
            found.add_(applied(scheme.entries.flows[i], transposed, mu))
            if buffer is not None:
                buffer[n].copy_(mu)
        return found

    def _add_gradient(self, step: _Substep, chunk: Chunk) -> None:
        """What a solver step gives to the blocks that it uses."""
        scheme, slopes = self.scheme, _slopes(step.stages)
        self._add(scheme.entries.flows[-1], chunk, step.end, step.start)
        for i, mu in enumerate(step.mus):
            self._add(scheme.entries.b[i], chunk, step.end, slopes[i], with_step=True)
            if mu is None:
                continue
            self._add(scheme.entries.flows[i], chunk, mu, step.start)
            for j, entry in enumerate(scheme.entries.a[i]):
                self._add(entry, chunk, mu, slopes[j], with_step=True)

    def _add(self, entry: Entry, chunk: Chunk, result: Tensor, source: Tensor, *, with_step: bool = False) -> None:
        """The outer products of dL/dresult, times the step if that is asked for, and the source, block by block."""
        if entry.place < 0:
            return
        shared = len(self._gradient) == 1
        result = result * chunk.path.step if with_step else result
        if chunk.weight.ndim == 3:
            result, source = (of_models(each, chunk.weight) for each in (result, source))
        dimensions = (0, -2) if shared else (-2,)
        own, other = ((result * each).sum(dimensions) for each in (source, swapped(source)))
        total = self._gradient[0] if shared else self._gradient[chunk.start : chunk.start + chunk.path.length]
        blocks = total[..., entry.place, :, :, :].flatten(-3, -2)
        blocks[..., ::3, :] += own.unflatten(-1, (2, -1))
        blocks[..., 1:3, :] += other.unflatten(-1, (2, -1))


def _slopes(stages: Sequence[Stage]) -> list[Tensor]:
    return [stage.linearised.slope.detach() for stage in stages]
