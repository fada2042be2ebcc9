"""The two-step midpoint rule on a recurrence, from an earlier state or started by the explicit midpoint method.

y_{j+1} = e_j y_{j-1} + w_j y_j + s_j f(y_j), where e = r^2, w = 1 - r^2 and s = d (1 + r) with r the ratio of the step
d to the one before. Backward, with G_{j+1} = dL/dy_{j+1}: y_j gets w_j G_{j+1} + J_j^T (s_j G_{j+1}) and y_{j-1} gets
e_j G_{j+1}. In the chunk's buffers, the derivatives carry the factor d and kappa the factor 1 + r.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from solvers import Midpoint

from ...control.stacked_weights import times
from ..recurrence import Recurrence
from .arithmetic import combine_into
from .chunk import Chunk
from .control_path import ControlPath
from .runge_kutta import RungeKuttaStepper
from .stepper import States


class TwoStepStepper:
    """The two-step midpoint rule as a Stepper.

    Args:
        recurrence: what it runs on.
        substeps: solver steps an interval.
        like: a tensor like the state.
        previous: the state one solver step before the initial one, or None to start the method.
        dt_previous: the length of that step, a number or a tensor (rows, 1).
    """

    def __init__(
        self,
        recurrence: Recurrence,
        substeps: int,
        like: Tensor,
        previous: Tensor | None = None,
        dt_previous: float | Tensor | None = None,
    ) -> None:
        self.substeps = self.saved_per_interval = self.evaluations = substeps
        self.preactivations, self.units = recurrence.weight.shape[-2:]
        self.previous = previous
        self.dt_previous = dt_previous
        self.previous_step_gradient: Tensor | None = None
        self._steps = _steps(recurrence, substeps)
        self._starter = None if previous is not None else RungeKuttaStepper(Midpoint.tableau, recurrence, 1, like)
        self._pointwise = recurrence.scheme.pointwise
        self._weight = recurrence.weight.mT
        self._buffer = like.new_empty(*like.shape[:-1], self.preactivations)
        self._before = previous

    @property
    def last_but_one(self) -> Tensor:
        """The state one solver step before the last, after the forward sweep."""
        assert self._before is not None
        return self._before

    def continue_after(self, last_but_one: Tensor) -> None:
        """Take the state one solver step before the last from whatever made the steps instead."""
        self._before = last_but_one

    @property
    def cold(self) -> bool:
        """Whether the first step starts the method."""
        return self.previous is None

    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Every step from the two states before it."""
        controls = [path.at(k / self.substeps).unbind(0) for k in range(self.substeps)]
        steps = path.steps()
        for place, target in enumerate(targets):
            n, k = divmod(place, self.substeps)
            if self._before is None:
                self._start(path, y, target)
            else:
                slope = self._pointwise(y, times(y, self._weight, self._buffer), controls[k][n])
                _two_step(self._before, y, slope, steps[n], 1.0 if k else self.ratio(start + n), target)
            self._before, y = y, target

    def record(self, chunk: Chunk, states: States) -> None:
        """The evaluation of every substep for all times at once, and that in the middle of the first step."""
        s = self.substeps
        y = states.window(chunk.start * s, (chunk.start + chunk.path.length) * s)
        for k in range(s):
            chunk.evaluate(y[k::s], y[k::s], k / s)
        if self.cold and chunk.start == 0:
            first, dt = chunk.stages[0].linearised.slope[:1].detach(), chunk.path.step
            middle = y[:1] + 0.5 * (dt[:1] if isinstance(dt, Tensor) else dt) * first
            chunk.evaluate_first(middle, 0.5 / s)

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """The recursion of G and of what is carried to the state before."""
        for k in reversed(range(self.substeps)):
            if later is not None:
                adjoint[0].add_(later[k])
            if self.cold and chunk.start + n == 0 and k == 0:
                self._start_back(chunk, adjoint)
            else:
                self._step_back(chunk, n, k, adjoint)

    def finish_chunk(self, chunk: Chunk) -> None:
        """The method has no tensors of its own."""

    def add_step_gradient(self, chunk: Chunk, states: States, total: Tensor) -> None:
        """A step enters by itself and by the two ratios that it is in; `total` is (time, batch)."""
        start, stop = chunk.start, chunk.start + chunk.path.length
        chunk.add_slope_products(total[start:stop])
        first = 1 if self.cold and start == 0 else 0
        if first == stop - start:
            return
        slope, ratio, before = self._by_ratio(chunk, states, first)
        total[start + first : stop] += slope / before
        spill = -slope * ratio / before
        total[max(start + first - 1, 0) : stop - 1] += spill if start + first else spill[1:]
        if start + first == 0:
            self.previous_step_gradient = spill[0]

    def ratio(self, n: int) -> float | Tensor:
        """The step of interval `n` over the solver step before it: a number or (rows, 1)."""
        if n == 0:
            assert self.dt_previous is not None
            return self._step(0) / self.dt_previous
        return self._step(n) / self._step(n - 1) if isinstance(self._steps, Tensor) else 1.0

    def ratios(self, start: int, stop: int, like: Tensor) -> Tensor:
        """The same of the intervals from `start` to `stop`, (intervals, batch), of the dtype of `like` (batch, ...)."""
        found = like.new_ones(stop - start, len(like))
        if isinstance(self._steps, Tensor):
            steps = self._steps[max(start - 1, 0) : stop].squeeze(-1).to(like.dtype)
            found[1 if start == 0 else 0 :] = steps[1:] / steps[:-1]
        if start == 0 and self.dt_previous is not None:
            first = self.ratio(0)
            found[0] = first.reshape(-1) if isinstance(first, Tensor) else first
        return found

    def _start(self, path: ControlPath, y: Tensor, target: Tensor) -> None:
        """The explicit midpoint method over the first solver step."""
        assert self._starter is not None
        s = self.substeps
        controls = [path.at(0.0)[0], path.at(0.5 / s)[0]]
        self._starter.one_step(y, path.steps()[0], controls, target)

    def _step_back(self, chunk: Chunk, n: int, k: int, adjoint: list[Tensor]) -> None:
        gradient, carried = adjoint
        ratio = 1.0 if k else self.ratio(chunk.start + n)
        back = chunk.stages[k].pull_back(n, (1 + ratio) * gradient)
        carried.add_(back)
        if not _is_one(ratio):
            square = ratio * ratio
            carried.add_((1 - square) * gradient)
            gradient.mul_(square)
        adjoint[:] = carried, gradient

    @staticmethod
    def _start_back(chunk: Chunk, adjoint: list[Tensor]) -> None:
        """Back through the explicit midpoint method; nothing is before the initial state."""
        gradient, carried = adjoint
        (middle,) = chunk.first_stages
        mu = middle.pull_back(0, gradient)
        carried.add_(gradient).add_(mu)
        chunk.stages[0].pull_back_onto(0, 0.5 * mu, carried)
        adjoint[0] = carried

    def _by_ratio(self, chunk: Chunk, states: States, first: int) -> tuple[Tensor, Tensor, Tensor]:
        """From the chunk's interval `first` on: dL/dr, r, and the step before, each (time, batch)."""
        stage, s = chunk.stages[0], self.substeps
        assert stage.kappa is not None
        start, stop = chunk.start + first, chunk.start + chunk.path.length
        ratio = torch.stack([_column(self.ratio(n), stage.kappa) for n in range(start, stop)])
        step = torch.stack([_column(self._step(n), stage.kappa) for n in range(start, stop)])
        gradient = stage.kappa[first:] / (1 + ratio).unsqueeze(-1)
        now = states.window(start * s, (stop - 1) * s + 1)[::s]
        before = states.window(start * s - 1, (stop - 1) * s)[::s]
        by_jump = torch.einsum("tbn,tbn->tb", gradient, before - now)
        by_slope = torch.einsum("tbn,tbn->tb", gradient, stage.linearised.slope[first:].detach())
        return 2 * ratio * by_jump + step * by_slope, ratio, step / ratio

    def _step(self, n: int) -> float | Tensor:
        """The length of a solver step in interval `n`, a number or (rows, 1)."""
        return self._steps[n] if isinstance(self._steps, Tensor) else self._steps


def _two_step(before: Tensor, y: Tensor, slope: Tensor, dt: float | Tensor, ratio: float | Tensor, out: Tensor) -> None:
    """r^2 y_before + (1 - r^2) y + dt (1 + r) slope, into `out`."""
    if _is_one(ratio):
        base = before
    else:
        square = ratio * ratio
        base = torch.mul(before, square, out=out).add_((1 - square) * y)
    combine_into(out, base, dt * (1 + ratio), (1.0,), (slope,))


def _is_one(ratio: float | Tensor) -> bool:
    return not isinstance(ratio, Tensor) and ratio == 1


def _steps(recurrence: Recurrence, substeps: int) -> float | Tensor:
    """The length of a solver step, a number or a tensor (time, rows, 1)."""
    dt = recurrence.dt
    if not isinstance(dt, Tensor):
        return dt / substeps
    return dt.detach().reshape(len(dt), -1, 1) / substeps


def _column(value: float | Tensor, like: Tensor) -> Tensor:
    """A number or a tensor (rows, 1) as (batch,)."""
    if isinstance(value, Tensor):
        return value.squeeze(-1).expand(like.shape[1])
    return like.new_full((like.shape[1],), value)
