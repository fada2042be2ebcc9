"""Derivatives of any right-hand side, out of autograd on a whole chunk: a field's author writes none by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from solvers.extend import check_seen

from ..formulas import Linearised
from ..recurrence import Recurrence
from .control_path import ControlPath, Moment
from .stage import Stage


class AutogradDerivatives:
    """Derivatives out of autograd, and the gradients by samples, the control before and the parameters.

    Args:
        recurrence: the whole recurrence, as the forward sweep had it.
        substeps: solver steps an interval.
        parameters: the leaf tensors that its functions close over and whose gradients are asked for.
        known: all leaf tensors that they may close over.
        samples: whether a gradient by the samples is asked for.
        before: whether one by the control before is.
    """

    wants_kappa = True

    def __init__(
        self,
        recurrence: Recurrence,
        substeps: int,
        parameters: list[Tensor],
        *,
        known: tuple[Tensor, ...],
        samples: bool,
        before: bool,
    ) -> None:
        self.recurrence = recurrence
        self.substeps = substeps
        self.given = parameters
        self.known = known
        self._seen = False
        self.samples = torch.zeros_like(recurrence.samples) if samples else None
        self.before = torch.zeros_like(recurrence.before) if before and recurrence.before is not None else None
        self.parameters: list[Tensor | None] = [None] * len(parameters)
        self._leaf = self._before_leaf = recurrence.samples.new_empty(0)

    def begin_chunk(self, start: int, stop: int) -> ControlPath:
        """The chunk's control path, its samples leaves of a graph of their own."""
        whole = self.recurrence
        first = start if start == 0 or whole.scheme.jumps else start - 1
        self._leaf = whole.samples[first:stop].detach().requires_grad_(self.samples is not None)
        before = None if whole.before is None else whole.before.detach().requires_grad_(True)
        self._before_leaf = whole.samples.new_empty(0) if before is None else before
        dt = whole.dt[first:stop] if isinstance(whole.dt, Tensor) else whole.dt
        recurrence = Recurrence(whole.scheme, whole.weight, self._leaf, before, dt)
        with torch.enable_grad():
            chunk = recurrence.chunk(start - first, stop - first) if first < start else recurrence
        return ControlPath(chunk, self.substeps)

    def linearise(self, y: Tensor, p: Tensor, at: Moment, out: Tensor) -> Linearised:
        """The slope keeps its graph to the control, which has one of its own, and the parameters."""
        y, p = y.detach().requires_grad_(), p.detach().requires_grad_()
        with torch.enable_grad():
            u = at.control(y.shape[-1])
            slope = self.recurrence.scheme.pointwise(y, p * 1, u).expand_as(y)  # p * 1: it may work in place
        if not slope.requires_grad:
            return Linearised(slope, out.zero_())
        self._check_seen(slope, (y, p))
        by_preactivation, by_state = torch.autograd.grad(
            slope, (p, y), torch.ones_like(slope), retain_graph=True, allow_unused=True
        )
        scaled = out.zero_() if by_preactivation is None else torch.mul(by_preactivation, at.step, out=out)
        return Linearised(slope, scaled, by_state)

    def end_chunk(self, path: ControlPath, stages: list[Stage], start: int, stop: int) -> None:
        """Through the control and the parameters, by the graph of the chunk."""
        asked = [leaf for leaf, total in self._leaves() if total is not None]
        ends = [(s.linearised.slope, _scaled(s, path)) for s in stages if s.linearised.slope.requires_grad]
        if not ends or not (asked or self.given):
            return
        slopes, kappas = zip(*ends, strict=True)
        found = iter(torch.autograd.grad(slopes, [*asked, *self.given], kappas, allow_unused=True))
        for leaf, total in self._leaves():
            got = None if total is None else next(found)
            if got is not None and total is not None:
                (total[stop - len(leaf) : stop] if total is self.samples else total).add_(got)
        self.parameters = [_sum(old, new) for old, new in zip(self.parameters, found, strict=True)]

    def _check_seen(self, slope: Tensor, leaves: tuple[Tensor, ...]) -> None:
        """Every way from the first slope ends in a tensor that is known: no gradient is lost in silence."""
        if not self._seen:
            check_seen(slope, (*leaves, self._leaf, self._before_leaf, *self.known))
            self._seen = True

    def _leaves(self) -> tuple[tuple[Tensor, Tensor | None], ...]:
        return (self._leaf, self.samples), (self._before_leaf, self.before)


def _scaled(stage: Stage, path: ControlPath) -> Tensor:
    """dL/dslope."""
    assert stage.kappa is not None
    return stage.kappa * path.step_of_first(len(stage.kappa))


def _sum(old: Tensor | None, new: Tensor | None) -> Tensor | None:
    if old is None or new is None:
        return new if old is None else old
    return old.add_(new)
