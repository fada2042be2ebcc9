"""A chunk of time of a recurrence, opened for the backward pass: all its times at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .recurrence import Recurrence

EVERY = slice(None)


@dataclass(frozen=True, slots=True)
class Stage:
    """One evaluation of the right-hand side in every interval of a chunk.

    Attributes:
        source: the states that the image was made of (time, batch, sources).
        weight: the part of K that made the image (images, sources).
        rows: the rows of K that it is.
        columns: the columns of K that it is.
        slope: dy/dt (time, batch, units), with the graph to the control and the parameters.
        slope_by_image: the elementwise derivative of the slope by the image (time, batch, images).
        slope_by_state: that by the state itself (time, batch, units), or None if it does not enter.
        kappa: dL/dslope, to be filled in by the recursion (time, batch, units).
        image_gradient: dL/dimage, to be filled in by the recursion (time, batch, images).
    """

    source: Tensor
    weight: Tensor
    rows: slice
    columns: slice
    slope: Tensor
    slope_by_image: Tensor
    slope_by_state: Tensor | None
    kappa: Tensor
    image_gradient: Tensor

    def pull_back(self, n: int, kappa: Tensor) -> Tensor:
        """dL/dsource (batch, sources) of interval `n` from dL/dslope there; both are kept for the weights' gradient."""
        images, units = self.slope_by_image.shape[-1], kappa.shape[-1]
        self.kappa[n] = kappa
        repeated = kappa if images == units else kappa.repeat(1, images // units)
        torch.mul(self.slope_by_image[n], repeated, out=self.image_gradient[n])
        through_image = self.image_gradient[n] @ self.weight
        if self.slope_by_state is None:
            return through_image
        return torch.addcmul(through_image, self.slope_by_state[n], kappa)

    def weight_gradient(self) -> Tensor:
        """The part of dL/dK that this evaluation gives (images, sources): one product over all times."""
        return self.image_gradient.flatten(0, 1).T @ self.source.flatten(0, 1)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The intervals of a recurrence, with what their stages share.

    Attributes:
        recurrence: the chunk, its control with a graph, its weight without.
        substeps: solver steps an interval.
        controls: the control of the samples (time, batch, U).
        earlier: that of the samples before, or the controls themselves if the hold ignores it.
        stages: every evaluation of the right-hand side, as it is made.
    """

    recurrence: Recurrence
    substeps: int
    controls: Tensor
    earlier: Tensor
    stages: list[Stage] = field(default_factory=list)

    @property
    def step(self) -> float | Tensor:
        """The length of a solver step: a number or a tensor (time, 1, 1) or (time, batch, 1)."""
        dt = self.recurrence.dt
        if isinstance(dt, Tensor):
            dt = dt.detach().reshape(len(dt), -1, 1)
        return dt / self.substeps

    def steps(self) -> Sequence[float | Tensor]:
        """The length of a solver step in every interval: numbers or tensors (1, 1) or (batch, 1)."""
        step = self.step
        return step.unbind(0) if isinstance(step, Tensor) else [step] * self.recurrence.length

    def control_at(self, fraction: float) -> Tensor:
        """The control at a fraction of every interval (time, batch, U)."""
        with torch.enable_grad():
            return self.recurrence.scheme.between(self.earlier, self.controls, fraction)

    def evaluate(
        self, state: Tensor, source: Tensor, control: Tensor, rows: slice = EVERY, columns: slice = EVERY
    ) -> Stage:
        """Evaluate the right-hand side in every interval at once, and keep the stage for the recursion.

        Args:
            state: the entries of y of the units (time, batch, units), without a graph.
            source: what the image is made of (time, batch, sources), without a graph.
            control: the control of the units, with its graph.
            rows: the rows of K that make the image.
            columns: the columns of K that make it.
        """
        weight = self.recurrence.weight[rows, columns]
        y = state.detach().requires_grad_()
        p = (source @ weight.T).requires_grad_()
        with torch.enable_grad():
            slope = self.recurrence.scheme.pointwise(y, p, control)
        by_image, by_state = torch.autograd.grad(
            slope, (p, y), torch.ones_like(slope), retain_graph=True, allow_unused=True
        )
        by_image = torch.zeros_like(p) if by_image is None else by_image
        empty = torch.empty_like(state), torch.empty_like(p)
        kept = Stage(source, weight, rows, columns, slope, by_image, by_state, *empty)
        self.stages.append(kept)
        return kept


def open_chunk(recurrence: Recurrence, substeps: int) -> Chunk:
    """A chunk with its control made anew, under a graph."""
    scheme = recurrence.scheme
    with torch.enable_grad():
        controls = scheme.control(recurrence.samples)
        if scheme.jumps:
            earlier = controls
        else:
            first = controls[0] if recurrence.before is None else recurrence.before
            earlier = torch.cat((first.unsqueeze(0), controls[:-1]))
    return Chunk(recurrence, substeps, controls, earlier)
