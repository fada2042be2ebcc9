"""ImplicitStage: the equation Y = base + dt f(t, Y), and the rows in which it can be solved."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...arithmetic import advance
from ...right_hand_side import AffinePointwise, RightHandSide, Structured, Time


@dataclass(frozen=True, slots=True)
class ImplicitStage:
    """The equation Y = base + dt f(t, Y) for Y.

    It falls apart into rows, the vectors of the last dimension, where f promises that it treats them one by one: an
    `AffinePointwise` or a `Structured` right-hand side, which every field of the layer is. Any other callable may
    couple all entries, so there the whole state is one row; wrapping it as `Structured(f)` makes the promise. A
    complex entry is two real ones, since f need not be holomorphic.

    Attributes:
        f: the right-hand side.
        t: the time at which it is evaluated.
        dt: what it is multiplied by.
        base: the rest, of the shape of the state.
    """

    f: RightHandSide
    t: Time
    dt: Time
    base: Tensor

    def image(self, y: Tensor) -> Tensor:
        """Base + dt f(t, y)."""
        return advance(self.base, self.dt, self.f(self.t, y))

    def image_of_rows(self, rows: Tensor) -> Tensor:
        """The image (rows, n) of a packed state (rows, n)."""
        return self.pack(self.image(self.unpack(rows)))

    def pack(self, y: Tensor) -> Tensor:
        """A tensor like the state as real rows (rows, n)."""
        real = torch.view_as_real(y.resolve_conj()) if y.is_complex() else y
        if isinstance(self.f, AffinePointwise | Structured) and y.ndim:
            return real.reshape(-1, 2 * y.shape[-1] if y.is_complex() else y.shape[-1])
        return real.reshape(1, -1)

    def unpack(self, rows: Tensor) -> Tensor:
        """The tensor like the state of which `rows` is the packed form."""
        if not self.base.is_complex():
            return rows.reshape(self.base.shape)
        return torch.view_as_complex(rows.reshape(*self.base.shape, 2).contiguous())
