"""Stream: a discretised field made ready to take sample after sample, at the price of the arithmetic."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import DivergenceError, DivergenceWarning
from solvers.checks import check_choice, check_flag
from solvers.extend import POLICIES, OnDivergence, Time, without_autocast

from ..control.time_grid import as_number, as_tensor
from ..engines.choice import warn_of_torch
from ..engines.engine import Engine
from ..engines.lowering import unsupported
from ..engines.registry import as_engine, candidates
from ..fields.field import VectorField
from .inputs import check_finite_input, sample
from .starts import continuing
from .state import RecurrentState
from .stepping import Discretisation, EngineStepper, SampleStepper, TorchStepper


class Stream:
    """A running sequence, or a batch of them: each call takes one sample and gives the state after it.

    The weights are built once, from the parameters as they are when the stream is made, and no gradient flows: for
    that there is `ODERNN.step`, which gives the same numbers. `ODERNN.stream` makes one of a layer.

    An engine that takes samples one by one runs it, as the native one does, where the operators know the field, the
    hold and the solver, with the weights packed once; torch otherwise.

    Args:
        discretisation: the field, and how it is stepped from sample to sample.
        state: where to begin. The stream copies it.
        engine: "torch", "native", an Engine, or "auto" for the native kernels where they serve.
        on_divergence: what to do when the state stops being finite, "raise", "warn" or "ignore".
        check_input: refuse a sample that is not finite.

    Attributes:
        engine: the name of what runs it, "native", "torch" or that of one's own.

    Raises:
        TypeError, ValueError: an argument of the wrong type, or a state that does not fit the field.

    Warns:
        EngineWarning: the `engine` that was asked for cannot serve here.
    """

    def __init__(
        self,
        discretisation: Discretisation,
        state: RecurrentState,
        *,
        engine: Engine | str = "auto",
        on_divergence: OnDivergence = "raise",
        check_input: bool = False,
    ) -> None:
        _check_arguments(discretisation, on_divergence, check_input)
        field = discretisation.field
        scheme = replace(discretisation, field=copy.deepcopy(field, _not_copied(field)).requires_grad_(False))
        self._made_by = repr(scheme.solver)
        begin = continuing("state", state, None, field, self._made_by).detach().clone()
        self._y, self._t, self._carry, self._before = begin.y, as_number(begin.t), begin.carry, begin.control
        self._dt = scheme.dt
        with without_autocast(self._y):
            self.engine, self._advance = _stepper(scheme, self._y, as_engine("engine", engine))
        self._policy: OnDivergence = on_divergence
        self._checks_input = check_input
        self._field = scheme.field
        self._shape = (len(begin.y), field.input_size)

    @property
    def state(self) -> RecurrentState:
        """Where the stream stands, to continue from elsewhere. Writing into it does not move the stream."""
        return RecurrentState(self._y, as_tensor(self._t), self._carry, self._before, self._made_by).clone()

    def __call__(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch hidden"]:
        """The state after the sample `x`.

        Raises:
            TypeError, ValueError: `x` is not a tensor, or not of the shape, dtype and device of the stream's samples.
            DivergenceError: the state stopped being finite, and `on_divergence` is "raise".

        Inside autocast it is as `ODERNN.step` is, in the parameters' dtype.
        """
        if not isinstance(x, Tensor) or x.dtype != self._y.dtype or x.device != self._y.device:
            sample(x, self._field)  # it says what is wrong, but for another dtype inside autocast
        if torch.is_autocast_enabled(x.device.type):
            with without_autocast(x):
                return self(x.to(self._y.dtype))
        if x.shape != self._shape:
            raise ValueError(f"`x` has shape {tuple(x.shape)}; this stream takes samples of shape {self._shape}")
        if self._checks_input:
            check_finite_input(x.unsqueeze(0))
        x = x.detach() if x.requires_grad else x
        y, carry, before, is_finite = self._advance(x, self._y, self._t, self._carry, self._before)
        if self._policy != "ignore" and not (_is_finite(y) if is_finite is None else is_finite):
            _tell(self._t, self._policy)
        self._y, self._t, self._carry, self._before = y, self._t + self._dt, carry, before
        return y.clone()


def _stepper(scheme: Discretisation, y: Tensor, engine: Engine | str) -> tuple[str, SampleStepper]:
    """The name of the engine that takes samples, and how it does."""
    reason = unsupported(scheme.field, scheme.hold, scheme.solver, scheme.dt)
    for each in candidates(engine, y.device.type) if reason is None else ():
        prepare = each.stream(y, asked=engine != "auto")
        if not isinstance(prepare, str):
            return each.name, EngineStepper(scheme, y, prepare)
        reason = prepare
    if engine not in ("auto", "torch"):
        assert reason is not None
        warn_of_torch(engine, reason)
    return "torch", TorchStepper(scheme)


def _check_arguments(discretisation: object, on_divergence: object, check_input: object) -> None:
    if not isinstance(discretisation, Discretisation):
        raise TypeError(
            f"`discretisation` is {type(discretisation).__name__}; give a Discretisation, or make the stream with "
            "`ODERNN.stream`"
        )
    check_choice("on_divergence", on_divergence, POLICIES)
    check_flag("check_input", check_input)


def _not_copied(field: VectorField) -> dict[int, object]:
    """What a copy of the field does not copy.

    A generator of noise continues where it is. A tensor with a history, as pruning and the old weight and spectral norm
    keep it in an attribute, is cut off from it: the hook makes it again.
    """
    attributes = [value for module in field.modules() for value in vars(module).values()]
    generators: dict[int, object] = {id(value): value for value in attributes if isinstance(value, torch.Generator)}
    tensors = (value for value in attributes if isinstance(value, Tensor) and not value.is_leaf)
    return generators | {id(value): value.detach().clone() for value in tensors}


def _is_finite(y: Tensor) -> bool:
    """The sum of all entries tells at once; only where it is not finite are they looked at one by one."""
    return isfinite(float(y.sum())) or bool(torch.isfinite(y).all())


def _tell(t: Time, policy: OnDivergence) -> None:
    """Raise an error, or warn, that the state stopped being finite."""
    time = float(t.flatten()[0] if isinstance(t, Tensor) else t)
    message = (
        f"the stream's state stopped being finite in the step from t = {time:.6g}; use a smaller dt, more substeps, "
        "damping or another solver, or look for input that is not finite"
    )
    if policy == "raise":
        raise DivergenceError(message, None, time, None)
    warnings.warn(message, DivergenceWarning, stacklevel=3)
