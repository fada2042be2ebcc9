"""The exact adjoint of a method over a chunk of time: stages of all times at once, then a linear recursion.

For an explicit Runge-Kutta tableau (a, b, c), Y_i = y + dt sum_j a_ij k_j and k_i = pointwise(Y_i, Y_i K^T, u_i). With
lambda = dL/dy_next, for i = s..1: kappa_i = dt (b_i lambda + sum_{j>i} a_ji mu_j) is dL/dk_i, and
mu_i = D_y^T kappa_i + (D_p^T kappa_i) K is what comes back through Y_i; dL/dy = lambda + sum_i mu_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .arithmetic import combine
from .chunk import Chunk, Stage
from .splitting import SplittingMethod
from .tableau import ButcherTableau

Gradients = Sequence[Tensor] | None
"""dL/dy at the end of every interval of the chunk, or None if only the end of the sequence has one."""


def runge_kutta(chunk: Chunk, tableau: ButcherTableau, starts: Tensor, gradient: Tensor, later: Gradients) -> Tensor:
    """dL/dy at the start of the chunk.

    Args:
        chunk: the intervals; its stages are made and filled in.
        tableau: the method.
        starts: the state at the start of every interval (time, batch, n).
        gradient: dL/dy at the end of the chunk, of all that comes after it.
        later: dL/dy of the output itself at the end of every interval.
    """
    sweeps = _recompute(chunk, tableau, starts)
    for n, dt in reversed(list(enumerate(chunk.steps()))):
        if later is not None:
            gradient = gradient + later[n]
        for stages in reversed(sweeps):
            gradient = _step_back(tableau, stages, n, dt, gradient)
    return gradient


def _recompute(chunk: Chunk, tableau: ButcherTableau, y: Tensor) -> list[list[Stage]]:
    """The stages of every substep, for all times of the chunk at once."""
    dt = chunk.step
    substeps: list[list[Stage]] = []
    for k in range(chunk.substeps):
        stages: list[Stage] = []
        for row, node in zip(tableau.a, tableau.c, strict=True):
            slopes = [stage.slope.detach() for stage in stages]
            stage_state = combine(y, dt, row, slopes)
            control = chunk.control_at((k + node) / chunk.substeps)
            stages.append(chunk.evaluate(stage_state, stage_state, control))
        substeps.append(stages)
        if k + 1 < chunk.substeps:
            y = combine(y, dt, tableau.b, [stage.slope.detach() for stage in stages])
    return substeps


def _step_back(tableau: ButcherTableau, stages: list[Stage], n: int, dt: float | Tensor, gradient: Tensor) -> Tensor:
    """dL/dy at the start of a solver step in interval `n` from dL/dy at its end."""
    returned: dict[int, Tensor] = {}
    for i in reversed(range(tableau.stages)):
        kappa = tableau.b[i] * gradient
        for j, mu in returned.items():
            if tableau.a[j][i] != 0:
                kappa = torch.add(kappa, mu, alpha=tableau.a[j][i])
        returned[i] = stages[i].pull_back(n, dt * kappa)
    for mu in returned.values():
        gradient = gradient + mu
    return gradient


def splitting(chunk: Chunk, method: SplittingMethod, starts: Tensor, gradient: Tensor, later: Gradients) -> Tensor:
    """As `runge_kutta`, for a composition of kicks and drifts of a partitioned recurrence."""
    sweeps = _recompute_sweeps(chunk, method, starts)
    halves = list(gradient.chunk(2, dim=-1))
    for n, dt in reversed(list(enumerate(chunk.steps()))):
        if later is not None:
            halves = [half + own for half, own in zip(halves, later[n].chunk(2, dim=-1), strict=True)]
        for half, share, stage in reversed(sweeps):
            halves[1 - half] = halves[1 - half] + stage.pull_back(n, share * dt * halves[half])
    return torch.cat(halves, dim=-1)


def _recompute_sweeps(chunk: Chunk, method: SplittingMethod, starts: Tensor) -> list[tuple[int, float, Stage]]:
    """(half that moves, share of dt, stage) of every kick and drift, for all times of the chunk at once."""
    n = starts.shape[-1] // 2
    dt = chunk.step
    parts = (slice(None, n), slice(n, None))
    halves = list(starts.chunk(2, dim=-1))
    made: list[tuple[int, float, Stage]] = []
    for k in range(chunk.substeps):
        for sweep in method.sweeps:
            half = 1 if sweep.kick else 0
            control = _half_of(chunk.control_at((k + sweep.node) / chunk.substeps), half, n)
            stage = chunk.evaluate(halves[half], halves[1 - half], control, parts[half], parts[1 - half])
            halves[half] = combine(halves[half], dt, (sweep.share,), (stage.slope.detach(),))
            made.append((half, sweep.share, stage))
    return made


def _half_of(u: Tensor, half: int, n: int) -> Tensor:
    """The control of one half of the units; a control has one or more entries per unit, in blocks of 2 n."""
    with torch.enable_grad():
        return u.unflatten(-1, (-1, 2, n))[..., half, :].flatten(-2)
