"""One evaluation of the right-hand side in every interval of a chunk, and its transpose, one interval at a time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..formulas import Linearised
from .coupling import Coupling


@dataclass(slots=True)
class Stage:
    """One evaluation in every interval of a chunk.

    Attributes:
        source: the states that the preactivation was made of (time, batch, sources).
        coupling: what made the preactivation.
        linearised: the slope and its derivatives.
        preactivation: step d slope / d preactivation; the recursion turns it into dL/d preactivation
            (time, batch, preactivations).
        state: step d slope / d state (time, batch, units), or None.
        kappa: dL / d(step slope), filled in by the recursion (time, batch, units); None if nobody asks.
        fraction: at which fraction of the interval the control was taken.
    """

    source: Tensor
    coupling: Coupling
    linearised: Linearised
    preactivation: Tensor
    state: Tensor | None
    kappa: Tensor | None
    fraction: float

    def leave_out(self, count: int) -> None:
        """Let the first intervals, which the recursion does not go through, have no part in any gradient."""
        self.preactivation[:count] = 0
        if self.kappa is not None:
            self.kappa[:count] = 0

    def pull_back(self, n: int, kappa: Tensor) -> Tensor:
        """dL/dsource (batch, sources) of interval `n`, from dL / d(step slope) there."""
        back = self.coupling.pull_back(self._to_preactivation(n, kappa))
        return back if self.state is None else back.addcmul_(self.state[n], kappa)

    def pull_back_onto(self, n: int, kappa: Tensor, total: Tensor) -> None:
        """Add that to `total`, which may be `kappa`."""
        preactivation = self._to_preactivation(n, kappa)
        if self.state is not None:
            total.add_(self.state[n] * kappa)
        self.coupling.pull_back_onto(preactivation, total)

    def _to_preactivation(self, n: int, kappa: Tensor) -> Tensor:
        if self.kappa is not None:
            self.kappa[n].copy_(kappa)
        preactivation = self.preactivation[n]
        if preactivation.shape[-1] == kappa.shape[-1]:
            return preactivation.mul_(kappa)
        preactivation.unflatten(-1, (-1, kappa.shape[-1])).mul_(kappa.unsqueeze(-2))
        return preactivation
