"""A chunk of intervals, opened for the backward pass: every evaluation of the right-hand side for all times at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ..formulas import Linearised
from .control_path import ControlPath, Moment
from .coupling import Coupling
from .stage import Stage


class Derivatives(Protocol):
    """Where a chunk takes its derivatives from, and what becomes of those by the control and the parameters."""

    wants_kappa: bool
    """Whether `close` needs the stages' kappa."""

    def begin_chunk(self, start: int, stop: int) -> ControlPath:
        """The control path of the intervals from `start` to `stop`."""
        ...

    def linearise(self, y: Tensor, p: Tensor, at: Moment, out: Tensor) -> Linearised:
        """The right-hand side with its derivatives, that by the preactivation in `out`; `p` may be overwritten."""
        ...

    def end_chunk(self, path: ControlPath, stages: list[Stage], start: int, stop: int) -> None:
        """Add the gradients by samples, control and parameters that the stages, filled in by the recursion, give."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """The intervals of a chunk with the evaluations in them, in the order in which they are made.

    Attributes:
        start: the number of its first interval.
        weight: K (P, n), without a graph; or (models, P, n), as `stacked_weights` has them.
        path: control and steps.
        derivatives: where the derivatives come from.
        preactivations: a buffer for the derivatives by the preactivation of every evaluation (time, evaluations, batch,
            preactivations).
        kappas: a buffer for kappa of every evaluation (time, evaluations, batch, units), or None.
        stages: the evaluations made so far.
        early_stages: those that are made only in the first few intervals.
    """

    start: int
    weight: Tensor
    path: ControlPath
    derivatives: Derivatives
    preactivations: Tensor
    kappas: Tensor | None
    stages: list[Stage] = field(default_factory=list)
    early_stages: list[Stage] = field(default_factory=list)

    def evaluate(
        self, state: Tensor, source: Tensor, coupling: Coupling, fraction: float, half: int | None = None
    ) -> Stage:
        """Evaluate the right-hand side in every interval at once, and keep the stage for the recursion.

        Args:
            state: the entries of y of the units (time, batch, units).
            source: what the preactivation is made of (time, batch, sources).
            coupling: what makes it.
            fraction: where in the interval the control is taken.
            half: 0 or 1 where the units are the first or second half of a partitioned field's; None for all.
        """
        place = len(self.stages)
        kappa = None if self.kappas is None else self.kappas[:, place]
        stage = self._evaluate(state, source, coupling, fraction, half, self.preactivations[:, place], kappa)
        self.stages.append(stage)
        return stage

    def evaluate_early(self, state: Tensor, source: Tensor, coupling: Coupling, fraction: float) -> Stage:
        """Evaluate all units in the first few intervals only, as many as `state` has, in memory of its own."""
        preactivation = self.preactivations.new_empty(len(state), *self.preactivations.shape[2:])
        stage = self._evaluate(state, source, coupling, fraction, None, preactivation, torch.empty_like(state))
        self.early_stages.append(stage)
        return stage

    def every_stage(self) -> list[Stage]:
        """All evaluations, including those of only the first few intervals."""
        return [*self.stages, *self.early_stages]

    def add_slope_products(self, total: Tensor) -> None:
        """Add the sum over evaluations and units of kappa times the slope to `total` (time, batch)."""
        for stage in self.every_stage():
            assert stage.kappa is not None
            products = torch.einsum("tbn,tbn->tb", stage.kappa, stage.linearised.slope.detach())
            total[: len(products)] += products

    def _evaluate(
        self,
        state: Tensor,
        source: Tensor,
        coupling: Coupling,
        fraction: float,
        half: int | None,
        preactivation: Tensor,
        kappa: Tensor | None,
    ) -> Stage:
        moment = Moment(self.path, fraction, len(state), half)
        found = self.derivatives.linearise(state, coupling.times(source), moment, preactivation)
        by_state = None if found.by_state is None else found.by_state * moment.step
        return Stage(source, coupling, found, preactivation, by_state, kappa, fraction)
