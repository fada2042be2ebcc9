"""From settings to a network: a recurrent part that gives its last state, and one linear layer on it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.models.baselines import Baseline
from benchmarks.settings.types import BaselineSettings, ODESettings
from benchmarks.support.errors import UserError
from odernn import FIELDS, ODERNN, VectorField
from solvers import SOLVERS


class LastState(nn.Module):
    """An ODERNN of which only the last state is wanted."""

    def __init__(self, rnn: ODERNN) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch hidden"]:
        """The state after the last sample."""
        _, y_n = self.rnn(x, save="end")
        return y_n[0]


class SequenceClassifier(nn.Module):
    """The paper's head (its sec. 5): last state, one linear layer, logits."""

    def __init__(self, recurrent: LastState | Baseline, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(hidden_size, num_classes)

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch classes"]:
        """One logit a class."""
        return self.readout(self.recurrent(x))


def build_network(
    settings: ODESettings | BaselineSettings, *, input_size: int, num_classes: int, seed: int
) -> SequenceClassifier:
    """The network of a run, its weights drawn from `seed` and from nothing else.

    Raises:
        UserError: a name or a value that the network does not take.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        recurrent = _recurrent(settings, input_size)
        return SequenceClassifier(recurrent, settings.hidden_size, num_classes)


def count_parameters(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _recurrent(settings: ODESettings | BaselineSettings, input_size: int) -> LastState | Baseline:
    try:
        if isinstance(settings, BaselineSettings):
            return Baseline(settings, input_size)
        return LastState(_ode_rnn(settings, input_size))
    except (TypeError, ValueError) as error:
        raise UserError(f"the settings `model` make no network: {error}") from error


def _ode_rnn(settings: ODESettings, input_size: int) -> ODERNN:
    return ODERNN(
        _field(settings, input_size),
        _named("model.solver", settings.solver, SOLVERS)(),
        dt=settings.dt,
        substeps=settings.substeps,
        hold=settings.hold,
        adjoint=settings.adjoint,
        engine=settings.engine,  # pyright: ignore[reportArgumentType] - the layer checks it
        batch_first=True,
    )


def _field(settings: ODESettings, input_size: int) -> VectorField:
    make = _named("model.field", settings.field, FIELDS)
    asked = {"sigma_w": settings.sigma_w, "sigma_v": settings.sigma_v, "damping": settings.damping}
    given = {key: value for key, value in asked.items() if value is not None}
    known = inspect.signature(make).parameters.keys()
    unknown = given.keys() - known
    if unknown:
        raise ValueError(f"the field {settings.field!r} has no `{min(unknown)}`; set `model.{min(unknown)}` to null")
    if settings.frequencies is not None:
        if "frequency_unit" not in known:
            raise ValueError(f"the field {settings.field!r} has no frequencies; set `model.frequencies` to null")
        given |= _frequencies(settings.frequencies, settings.dt)
    return make(input_size, settings.hidden_size, **given)


def _frequencies(ends: tuple[float, float], dt: float) -> dict[str, float]:
    """The arguments of an oscillator bank for frequencies in radians a sample."""
    lowest, highest = ends
    return {"lowest_frequency": lowest / dt, "highest_frequency": highest / dt, "frequency_unit": 1 / dt}


def _named(argument: str, name: str, registry: Mapping[str, type[Any]]) -> type[Any]:
    if name not in registry:
        raise ValueError(f"`{argument}` is {name!r}; choose one of {', '.join(registry)}")
    return registry[name]
