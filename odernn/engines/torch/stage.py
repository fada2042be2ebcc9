"""One evaluation of the right-hand side in every interval of a chunk, and its transpose, one interval at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..formulas import Linearised

EVERY = slice(None)


@dataclass(slots=True)
class Stage:
    """One evaluation in every interval of a chunk.

    Attributes:
        source: the states that the image was made of (time, batch, sources).
        weight: the part of K that made the image (images, sources).
        rows: the rows of K that it is.
        columns: the columns of K that it is.
        linearised: the slope and its derivatives.
        image: step d slope / d image; the recursion turns it into dL/d image (time, batch, images).
        state: step d slope / d state (time, batch, units), or None.
        kappa: dL / d(step slope), filled in by the recursion (time, batch, units); None if nobody asks.
        fraction: at which fraction of the interval the control was taken.
    """

    source: Tensor
    weight: Tensor
    rows: slice
    columns: slice
    linearised: Linearised
    image: Tensor
    state: Tensor | None
    kappa: Tensor | None
    fraction: float

    def pull_back(self, n: int, kappa: Tensor) -> Tensor:
        """dL/dsource (batch, sources) of interval `n`, from dL / d(step slope) there."""
        back = torch.mm(self._to_image(n, kappa), self.weight)
        return back if self.state is None else back.addcmul_(self.state[n], kappa)

    def pull_back_onto(self, n: int, kappa: Tensor, total: Tensor) -> None:
        """Add that to `total`, which may be `kappa`."""
        image = self._to_image(n, kappa)
        if self.state is not None:
            total.add_(self.state[n] * kappa)
        total.addmm_(image, self.weight)

    def _to_image(self, n: int, kappa: Tensor) -> Tensor:
        if self.kappa is not None:
            self.kappa[n].copy_(kappa)
        image = self.image[n]
        if image.shape[-1] == kappa.shape[-1]:
            return image.mul_(kappa)
        image.unflatten(-1, (-1, kappa.shape[-1])).mul_(kappa.unsqueeze(-2))
        return image
