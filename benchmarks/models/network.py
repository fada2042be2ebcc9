"""From settings to a network: a recurrent part, and one linear layer on its last state or on every state."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from benchmarks.models.baselines import Baseline
from benchmarks.objectives import Objective
from benchmarks.settings.types import BaselineSettings, ODESettings
from benchmarks.support.errors import UserError, nearest
from odernn import FIELDS, SequenceNetwork
from odernn.zoo.spec import NetworkSpec
from solvers import SOLVERS

EMBEDDING_RANGE = 0.1
"""Embeddings begin uniform in +- this, as in the code of Kerg et al., Non-normal RNN, NeurIPS 2019."""


def build_network(
    settings: ODESettings | BaselineSettings, *, input_size: int, objective: Objective, seed: int
) -> SequenceNetwork:
    """The network of a run, its weights drawn from `seed` and from nothing else.

    Raises:
        UserError: a name or a value that the network does not take.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = _network(settings, settings.embedding or input_size, objective)
        except (TypeError, ValueError) as error:
            raise UserError(f"the settings `model` make no network: {error}") from error
        _surround(network, settings, input_size)
        return network


def _surround(network: SequenceNetwork, settings: ODESettings | BaselineSettings, input_size: int) -> None:
    """Puts the embedding and the dropouts around the recurrent part; the weights of the rest are drawn before."""
    dropout = nn.Dropout(settings.input_dropout)
    network.encoder, network.dropout = dropout, nn.Dropout(settings.output_dropout)
    if settings.embedding is not None:
        embedding = nn.Linear(input_size, settings.embedding, bias=False)
        nn.init.uniform_(embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
        network.encoder = nn.Sequential(embedding, dropout)


def count_parameters(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def network_spec(settings: ODESettings, input_size: int, objective: Objective) -> NetworkSpec:
    """The network of a run by names and numbers, without what stands around the recurrent part.

    Raises:
        ValueError: the field does not take one of its settings.
    """
    return NetworkSpec(
        field=settings.field,
        arguments=_field_arguments(settings),
        input_size=input_size,
        hidden_size=settings.hidden_size,
        output_size=objective.output_size,
        solver=settings.solver,
        dt=settings.dt,
        substeps=settings.substeps,
        hold=settings.hold,
        layers=settings.layers,
        visible=settings.visible,
        read_from=objective.read_from,
    )


def _network(settings: ODESettings | BaselineSettings, input_size: int, objective: Objective) -> SequenceNetwork:
    if isinstance(settings, BaselineSettings):
        layer = Baseline(settings, input_size, objective.read_from)
        return SequenceNetwork(layer, settings.hidden_size, objective.output_size)
    _named("model.solver", settings.solver, SOLVERS)
    spec = network_spec(settings, input_size, objective)
    return spec.build(adjoint=settings.adjoint, engine=settings.engine)


def _field_arguments(settings: ODESettings) -> dict[str, Any]:
    """What the field is made with beside its sizes.

    Raises:
        ValueError: the field does not take one of them.
    """
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
    return given | _options(settings, known, given)


def _options(settings: ODESettings, known: Collection[str], given: Collection[str]) -> dict[str, float]:
    """The further arguments of the field, which have no option of their own."""
    options = dict(settings.options or {})
    reserved = {"input_size", "hidden_size", "device", "dtype", "bias", "sigma_w", "sigma_v", "damping", *given}
    for name in options:
        if name not in known or name in reserved:
            others = ", ".join(sorted(set(known) - reserved)) or "none"
            raise ValueError(f"`model.options` has {name!r}; the field {settings.field!r} takes there {others}")
    return options


def _frequencies(ends: tuple[float, float], dt: float) -> dict[str, float]:
    """The arguments of an oscillator bank for frequencies in radians a sample."""
    lowest, highest = ends
    return {"lowest_frequency": lowest / dt, "highest_frequency": highest / dt, "frequency_unit": 1 / dt}


def _named(argument: str, name: str, registry: Mapping[str, type[Any]]) -> type[Any]:
    if name not in registry:
        near = nearest(name, registry)
        raise ValueError(f"`{argument}` is {name!r}{near}; choose one of {', '.join(registry)}")
    return registry[name]
