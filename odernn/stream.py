"""Stream: a layer made ready to take sample after sample, at the price of the arithmetic."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import DivergenceError, DivergenceWarning, OnDivergence, RightHandSide, Solver, Time, without_autocast

from . import door
from .bind import bind, bind_affine
from .clock import Tick
from .field import ActivatedField, AffinePointwiseField, VectorField
from .hold import Control, control_of
from .state import RecurrentState

if TYPE_CHECKING:
    from .layer import ODERNN

_NO_TICK = Tick(0.0, 1.0)
"""For a hold that jumps, to which time means nothing."""


class Stream:
    """A running sequence, or a batch of them: each call takes one sample and gives the state after it.

    The weights are built once, from the parameters as they are when the stream is made, and no gradient flows: for
    that there is `ODERNN.step`, which gives the same numbers. Made by `ODERNN.stream`.

    Args:
        rnn: the layer, whose step is a number.
        state: where to begin.
    """

    def __init__(self, rnn: ODERNN, state: RecurrentState) -> None:
        if isinstance(rnn.dt, Tensor) and rnn.dt.ndim:
            raise ValueError(
                f"the layer's `dt` is a tensor of shape {tuple(rnn.dt.shape)} and a stream has no end; make the layer "
                "with a number, or use `step`, which takes a dt a sample"
            )
        field = copy.deepcopy(rnn.field, _shared_generators(rnn.field)).requires_grad_(False)
        door.check_continuing(state.y, len(state.y), field)
        state = state.detach()
        self._y, self._t, self._memory, self._before = state.y, state.t, state.memory, state.control
        self._solver, self._substeps, self._hold = rnn.solver, rnn.substeps, rnn.hold
        self._control = field.affine_control() if isinstance(field, ActivatedField) else field.control
        self._bind = _binder(field, rnn.solver)
        self._dt = float(rnn.dt.detach() if isinstance(rnn.dt, Tensor) else rnn.dt)
        self._policy: OnDivergence = rnn.on_divergence
        self._checks_input = rnn.check_input
        self._shape = (len(state.y), field.input_size)

    @property
    def state(self) -> RecurrentState:
        """Where the stream stands, to go on from elsewhere."""
        return RecurrentState(self._y, self._t, self._memory, self._before)

    def __call__(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch hidden"]:
        """The state after the sample `x`.

        Raises:
            ValueError: the shape of `x` is not that of a sample of the stream's batch.
            DivergenceError: the state stopped being finite, and the layer's `on_divergence` is "raise".

        Inside autocast it is as `ODERNN.step` is, in the parameters' dtype.
        """
        if torch.is_autocast_enabled(x.device.type):
            with without_autocast(x):
                return self(x.to(self._y.dtype))
        if x.shape != self._shape:
            raise ValueError(f"`x` has shape {tuple(x.shape)}; this stream takes samples of shape {self._shape}")
        if self._checks_input:
            door.check_finite_input(x.unsqueeze(0))
        u = self._control(x.detach() if x.requires_grad else x)
        f, t, dt = self._bind(self._held(u)), self._t, self._dt / self._substeps
        y = self._y
        memory = self._solver.init(f, t, dt, y) if self._memory is None else self._memory
        for k in range(self._substeps):
            y, memory = self._solver.step(f, t + k * dt if k else t, dt, y, memory)
        if self._policy != "ignore":
            _check_finite(y, t, self._policy)
        self._y, self._t, self._memory = y, t + self._dt, memory
        self._before = None if self._hold.jumps else u
        return y

    def _held(self, u: Float[Tensor, "batch control"]) -> Control:
        """The control in the interval that ends with the sample's."""
        if self._hold.jumps:
            return control_of(self._hold, u, u, _NO_TICK)
        before = u if self._before is None else self._before
        return control_of(self._hold, before, u, Tick(self._t, self._dt))


def _binder(field: VectorField, solver: Solver) -> Callable[[Control], RightHandSide]:
    """From a control to the right-hand side, with no more structure than the solver asks for."""
    if not isinstance(field, AffinePointwiseField):
        return bind(field, None)
    weight = field.weight()
    return bind_affine(field, weight) if solver.needs is None else bind(field, weight)


def _shared_generators(field: VectorField) -> dict[int, object]:
    """What a copy of the field does not copy: a generator of noise goes on where it is."""
    attributes = (value for module in field.modules() for value in vars(module).values())
    return {id(value): value for value in attributes if isinstance(value, torch.Generator)}


def _check_finite(y: Tensor, t: Time, policy: OnDivergence) -> None:
    """The sum of all entries tells at once; only where it is not finite are they looked at one by one."""
    if isfinite(float(y.sum())) or bool(torch.isfinite(y).all()):
        return
    time = float(torch.as_tensor(t).flatten()[0])
    message = (
        f"the stream's state stopped being finite in the step from t = {time:.6g}; use a smaller dt, more substeps, "
        "damping or another solver, or look for input that is not finite"
    )
    if policy == "raise":
        raise DivergenceError(message, None, time, None)
    warnings.warn(message, DivergenceWarning, stacklevel=3)
