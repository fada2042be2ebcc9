"""Stream: a layer made ready to take sample after sample, at the price of the arithmetic."""

from __future__ import annotations

import copy
import warnings
from math import isfinite
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import DivergenceError, DivergenceWarning
from solvers.extend import OnDivergence, Time, without_autocast

from ..engines.choice import warn_of_torch, why_not_native
from ..engines.lowering import unsupported
from ..fields.field import VectorField
from . import inputs
from .state import RecurrentState
from .stepping import Discretisation, NativeStepper, SampleStepper, TorchStepper

if TYPE_CHECKING:
    from .odernn import ODERNN


class Stream:
    """A running sequence, or a batch of them: each call takes one sample and gives the state after it.

    The weights are built once, from the parameters as they are when the stream is made, and no gradient flows: for
    that there is `ODERNN.step`, which gives the same numbers. Made by `ODERNN.stream`.

    The layer's engine runs it: the native kernels, where they know the field, the hold and the solver, with the weights
    packed once; torch otherwise.

    Args:
        rnn: the layer, whose step is a number.
        state: where to begin.

    Attributes:
        engine: what runs it, "native" or "torch".

    Warns:
        EngineWarning: the layer's engine is "native", which cannot serve here.
    """

    def __init__(self, rnn: ODERNN, state: RecurrentState) -> None:
        if isinstance(rnn.dt, Tensor) and rnn.dt.ndim:
            raise ValueError(
                f"the layer's `dt` is a tensor of shape {tuple(rnn.dt.shape)} and a stream has no end; make the layer "
                "with a number, or use `step`, which takes a dt a sample"
            )
        field = copy.deepcopy(rnn.field, _shared_generators(rnn.field)).requires_grad_(False)
        inputs.check_continuing(state.y, len(state.y), field)
        state = state.detach()
        self._y, self._t, self._memory = state.y.contiguous(), state.t, state.memory
        self._before = None if state.control is None else state.control.contiguous()
        self._dt = float(rnn.dt.detach() if isinstance(rnn.dt, Tensor) else rnn.dt)
        scheme = Discretisation(field, rnn.hold, rnn.solver, self._dt, rnn.substeps)
        reason = unsupported(field, rnn.hold, rnn.solver, self._dt) or why_not_native(rnn.engine, self._y)
        self.engine: Literal["torch", "native"] = "native" if reason is None else "torch"
        with without_autocast(self._y):
            self._advance: SampleStepper = NativeStepper(scheme, self._y) if reason is None else TorchStepper(scheme)
        if reason is not None and rnn.engine == "native":
            warn_of_torch(reason)
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
            inputs.check_finite_input(x.unsqueeze(0))
        x = x.detach() if x.requires_grad else x
        y, memory, before, is_finite = self._advance(x, self._y, self._t, self._memory, self._before)
        if self._policy != "ignore" and not (_is_finite(y) if is_finite is None else is_finite):
            _tell(self._t, self._policy)
        self._y, self._t, self._memory, self._before = y, self._t + self._dt, memory, before
        return y


def _shared_generators(field: VectorField) -> dict[int, object]:
    """What a copy of the field does not copy: a generator of noise goes on where it is."""
    attributes = (value for module in field.modules() for value in vars(module).values())
    return {id(value): value for value in attributes if isinstance(value, torch.Generator)}


def _is_finite(y: Tensor) -> bool:
    """The sum of all entries tells at once; only where it is not finite are they looked at one by one."""
    return isfinite(float(y.sum())) or bool(torch.isfinite(y).all())


def _tell(t: Time, policy: OnDivergence) -> None:
    """That the state stopped being finite."""
    time = float(torch.as_tensor(t).flatten()[0])
    message = (
        f"the stream's state stopped being finite in the step from t = {time:.6g}; use a smaller dt, more substeps, "
        "damping or another solver, or look for input that is not finite"
    )
    if policy == "raise":
        raise DivergenceError(message, None, time, None)
    warnings.warn(message, DivergenceWarning, stacklevel=3)
