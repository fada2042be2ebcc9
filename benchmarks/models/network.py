"""From settings to a network: a recurrent part, and one linear layer on its last state or on every state."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.models.baselines import Baseline
from benchmarks.objectives import Objective, ReadFrom
from benchmarks.settings.types import BaselineSettings, ODESettings
from benchmarks.support.errors import UserError
from odernn import FIELDS, ODERNN, VectorField
from solvers import SOLVERS


class ODERecurrence(nn.Module):
    """An ODERNN of which the last state is wanted, or the trajectory."""

    def __init__(self, rnn: ODERNN, read_from: ReadFrom) -> None:
        super().__init__()
        self.rnn = rnn
        self.read_from: ReadFrom = read_from

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch *time hidden"]:
        """The state after the last sample, or after each."""
        trajectory, y_n = self.rnn(x, save=self.read_from)
        return y_n[0] if trajectory is None else trajectory


class SequenceNetwork(nn.Module):
    """A recurrent part and one linear layer on its state: the paper's head (its sec. 5)."""

    def __init__(self, recurrent: ODERecurrence | Baseline, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(hidden_size, output_size)

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch *time output"]:
        """The output of the last state, or of each."""
        return self.readout(self.recurrent(x))


def build_network(
    settings: ODESettings | BaselineSettings, *, input_size: int, objective: Objective, seed: int
) -> SequenceNetwork:
    """The network of a run, its weights drawn from `seed` and from nothing else.

    Raises:
        UserError: a name or a value that the network does not take.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        recurrent = _recurrent(settings, input_size, objective.read_from)
        return SequenceNetwork(recurrent, settings.hidden_size, objective.output_size)


def count_parameters(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _recurrent(
    settings: ODESettings | BaselineSettings, input_size: int, read_from: ReadFrom
) -> ODERecurrence | Baseline:
    try:
        if isinstance(settings, BaselineSettings):
            return Baseline(settings, input_size, read_from)
        return ODERecurrence(_ode_rnn(settings, input_size), read_from)
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
