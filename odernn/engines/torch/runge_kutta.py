"""Explicit Runge-Kutta methods on a recurrence.

Y_i = y + dt sum_j a_ij k_j, k_i = pointwise(Y_i, Y_i K^T, u_i), y_next = y + dt sum_i b_i k_i. With lambda =
dL/dy_next, for i = s..1: kappa_i = b_i lambda + sum_{j>i} a_ji mu_j is dL / d(dt k_i), and mu_i = dt (D_y^T kappa_i +
(D_p^T kappa_i) K) is what comes back through Y_i; dL/dy = lambda + sum_i mu_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from ..method import Method
from ..recurrence import Recurrence
from .arithmetic import combine_into
from .chunk import Chunk
from .control_path import ControlPath
from .coupling import couplings_of
from .stage import Stage
from .stepper import States, Stepper


@final
class RungeKuttaStepper(Stepper):
    """An explicit tableau as a Stepper."""

    def __init__(self, method: Method, recurrence: Recurrence, substeps: int, like: Tensor) -> None:
        self.method = method
        self.tableau = tableau = method.tableau
        self.substeps = substeps
        self.evaluations = substeps * tableau.stages
        self.preactivations, self.units = recurrence.weight.shape[-2:]
        self._masks = [half_mask(half, like) for half in method.moved]
        self._pointwise = recurrence.scheme.pointwise
        self._couplings = couplings_of(recurrence, method.moved or [None] * tableau.stages)
        self._places = [(k, i) for k in range(substeps) for i in range(tableau.stages)]
        self._like = like

    def advance(self, path: ControlPath, start: int, y: Tensor, targets: Sequence[Tensor]) -> None:
        """Every stage in its turn."""
        controls = {(k, i): path.at(self._fraction(k, i)).unbind(0) for k, i in self._places}
        for n, (dt, target) in enumerate(zip(path.steps(), targets, strict=True)):
            for k in range(self.substeps):
                out = target if k + 1 == self.substeps else self._middle[k % 2]
                self.one_step(y, dt, [controls[k, i][n] for i in range(self.tableau.stages)], out)
                y = out

    def one_step(self, y: Tensor, dt: float | Tensor, controls: Sequence[Tensor], out: Tensor) -> None:
        """One solver step from `y` into `out`, the control of each stage being given."""
        combine_into(out, y, dt, self.tableau.b, self._slopes(y, dt, controls))

    @cached_property
    def _preactivations(self) -> list[Tensor]:
        """Room for that of each stage; a pass by a kernel wants none."""
        shape = (*self._like.shape[:-1], self.preactivations)
        return [self._like.new_empty(shape) for _ in range(self.tableau.stages)]

    @cached_property
    def _stages(self) -> list[Tensor]:
        """Room for the state of each stage."""
        return [torch.empty_like(self._like) for _ in range(self.tableau.stages)]

    @cached_property
    def _middle(self) -> list[Tensor]:
        """Room for the states between substeps, in turns."""
        return [torch.empty_like(self._like), torch.empty_like(self._like)]

    def record(self, chunk: Chunk, states: States) -> None:
        """Every stage, for all times at once."""
        y = states.window(chunk.start, chunk.start + chunk.path.length)
        dt = chunk.path.step
        for k in range(self.substeps):
            slopes: list[Tensor] = []
            for i, row in enumerate(self.tableau.a):
                state = _combined(y, dt, row, slopes)
                stage = chunk.evaluate(state, state, self._couplings[i], self._fraction(k, i))
                self._leave_half(i, stage)
                slopes.append(self._moving(i, stage.linearised.slope.detach()))
            if k + 1 < self.substeps:
                y = _combined(y, dt, self.tableau.b, slopes)

    def reverse(self, chunk: Chunk, n: int, adjoint: list[Tensor], later: Sequence[Tensor] | None) -> None:
        """The recursion of kappa and mu, substep by substep."""
        if later is not None:
            adjoint[0].add_(later[0])
        for k in reversed(range(self.substeps)):
            stages = chunk.stages[k * self.tableau.stages : (k + 1) * self.tableau.stages]
            self._step_back(stages, n, adjoint[0])

    def finish_chunk(self, chunk: Chunk) -> None:
        """Clear kappa in the half that a stage does not move, where the slope is not used.

        An engine may have written the whole kappa, or only the half that moves and left memory as it found it in the
        other; so this writes zeros instead of multiplying by them.
        """
        if chunk.kappas is None:
            return
        for place, mask in enumerate(self._masks * self.substeps):
            chunk.kappas[:, place].masked_fill_(mask == 0, 0.0)

    def _leave_half(self, i: int, stage: Stage) -> None:
        """Clear the derivatives of the half that stage i does not move, so that nothing comes back through it."""
        if not self._masks:
            return
        stage.preactivation.unflatten(-1, (-1, self.units)).mul_(self._masks[i])
        if stage.state is not None:
            stage.state.mul_(self._masks[i])

    def _moving(self, i: int, slope: Tensor) -> Tensor:
        """The part of a slope that moves the state in stage i."""
        return slope * self._masks[i] if self._masks else slope

    def _fraction(self, k: int, i: int) -> float:
        return (k + self.tableau.c[i]) / self.substeps

    def _slopes(self, y: Tensor, dt: float | Tensor, controls: Sequence[Tensor]) -> list[Tensor]:
        slopes: list[Tensor] = []
        each = zip(self.tableau.a, controls, self._stages, self._preactivations, strict=True)
        for i, (row, u, out, buffer) in enumerate(each):
            state = combine_into(out, y, dt, row, slopes)
            slopes.append(self._moving(i, self._pointwise(state, self._couplings[i].times(state, buffer), u)))
        return slopes

    def _step_back(self, stages: Sequence[Stage], n: int, gradient: Tensor) -> None:
        """dL/dy at the start of a solver step of interval `n` from dL/dy at its end."""
        tableau = self.tableau
        returned: dict[int, Tensor] = {}
        for i in reversed(range(1, tableau.stages)):
            kappa = self._kappa(i, gradient, returned)
            returned[i] = stages[i].pull_back(n, kappa)
        kappa = self._kappa(0, gradient, returned)
        if kappa is gradient and returned:
            kappa = gradient.clone()
        for mu in returned.values():
            gradient.add_(mu)
        stages[0].pull_back_onto(n, kappa, gradient)

    def _kappa(self, i: int, gradient: Tensor, returned: dict[int, Tensor]) -> Tensor:
        """b_i lambda + sum_{j>i} a_ji mu_j; lambda itself, not a copy, where that is all."""
        kappa = gradient if self.tableau.b[i] == 1 else self.tableau.b[i] * gradient
        for j, mu in returned.items():
            if self.tableau.a[j][i] != 0:
                kappa = torch.add(kappa, mu, alpha=self.tableau.a[j][i])
        return kappa


def half_mask(half: int, like: Tensor) -> Tensor:
    """Ones in one half of the units, zeros in the other."""
    mask = like.new_zeros(2, like.shape[-1] // 2)
    mask[half] = 1
    return mask.flatten()


def _combined(y: Tensor, dt: float | Tensor, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """As `combine_into`, into new memory if there is anything to add."""
    if not any(weight for weight, _ in zip(weights, slopes, strict=False)):
        return y
    return combine_into(torch.empty_like(y), y, dt, weights, slopes)
