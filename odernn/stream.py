"""Stream: a layer made ready to take sample after sample, at the price of the arithmetic."""

from __future__ import annotations

import copy
from math import isfinite
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import DivergenceError, Time

from . import door
from .bind import bind
from .clock import Tick
from .field import ActivatedField, AffinePointwiseField
from .hold import control_of
from .state import RecurrentState

if TYPE_CHECKING:
    from .layer import ODERNN


class Stream:
    """A running sequence, or a batch of them: each call takes one sample and gives the state after it.

    The weights are built once, from the parameters as they are when the stream is made, and no gradient flows: for
    that there is `ODERNN.step`, which gives the same numbers. Made by `ODERNN.stream`.

    Args:
        rnn: the layer, whose step is a number.
        state: where to begin.

    Attributes:
        state: where it stands, to go on with elsewhere.
    """

    def __init__(self, rnn: ODERNN, state: RecurrentState) -> None:
        if isinstance(rnn.dt, Tensor) and rnn.dt.ndim:
            raise ValueError(
                f"the layer's `dt` is a tensor of shape {tuple(rnn.dt.shape)} and a stream has no end; make the layer "
                "with a number, or use `step`, which takes a dt a sample"
            )
        field = copy.deepcopy(rnn.field).requires_grad_(False)
        door.check_continuing(state.y, len(state.y), field)
        self.state = state.detach()
        self._solver, self._substeps, self._hold = rnn.solver, rnn.substeps, rnn.hold
        self._control = field.affine_control() if isinstance(field, ActivatedField) else field.control
        self._bind = bind(field, field.weight() if isinstance(field, AffinePointwiseField) else None)
        self._dt: Time = rnn.dt
        self._checks = rnn.on_divergence == "raise"
        self._shape = (len(state.y), field.input_size)

    def __call__(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch hidden"]:
        """The state after the sample `x`.

        Raises:
            ValueError: the shape of `x` is not that of a sample of the stream's batch.
            DivergenceError: the state stopped being finite, and the layer's `on_divergence` is "raise".
        """
        if x.shape != self._shape:
            raise ValueError(f"`x` has shape {tuple(x.shape)}; this stream takes samples of shape {self._shape}")
        before = self.state
        u = self._control(x.detach())
        control = control_of(self._hold, u if before.control is None else before.control, u, Tick(before.t, self._dt))
        f, t, dt = self._bind(control), before.t, self._dt / self._substeps
        y, memory = before.y, before.memory
        if memory is None:
            memory = self._solver.init(f, t, dt, y)
        for k in range(self._substeps):
            y, memory = self._solver.step(f, t + k * dt, dt, y, memory)
        if self._checks:
            _check_finite(y, t)
        self.state = RecurrentState(y, t + self._dt, memory, None if self._hold.jumps else u)
        return y


def _check_finite(y: Tensor, t: Time) -> None:
    """The sum of all entries tells at once; only where it is not finite are they looked at one by one."""
    if not isfinite(float(y.sum())) and not bool(torch.isfinite(y).all()):
        time = float(torch.as_tensor(t).flatten()[0])
        raise DivergenceError(
            f"the stream's state stopped being finite in the step from t = {time:.6g}; use a smaller dt, more "
            "substeps, damping or another solver, or look for input that is not finite",
            None,
            time,
            None,
        )
