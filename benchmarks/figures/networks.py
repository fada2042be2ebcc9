"""The networks that the figures show where no run is named, and a network under another solver."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.figures.trained import TrainedNetwork
from odernn import ODERNN, NoisyField
from solvers import SOLVERS, Need, Solver, TorchdiffeqSolver

DOUBLE = torch.float64


@dataclass(frozen=True)
class Request:
    """What figures are drawn of.

    Attributes:
        trained: a run's network, or None for an untrained one.
        small: fewer units, samples and points: for a quick look; of a run's network, fewer samples.
    """

    trained: TrainedNetwork | None = None
    small: bool = False


@dataclass(frozen=True)
class Driven:
    """A network in float64 and what drives it.

    Attributes:
        title: what it is, for the figure.
        rnn: the network, batch first.
        x: (batch, time, input).
    """

    title: str
    rnn: ODERNN
    x: Float[Tensor, "batch time input"]


def trained_driven(trained: TrainedNetwork, *, sequences: int | None = None, samples: int | None = None) -> Driven:
    """A copy of a run's best network, in float64, with the first samples of its task's first sequences, or all."""
    network = copy.deepcopy(trained.best).double().requires_grad_(False)
    x = trained.x[:sequences, :samples].double()
    shown = "" if x.shape[1] == trained.x.shape[1] else f", the first {x.shape[1]} samples"
    return Driven(trained.title + shown, network, x)


def random_drive(batch: int, time: int, inputs: int, size: float = 1.0) -> Float[Tensor, "batch time input"]:
    """Independent normal samples of standard deviation `size`, the same in every run."""
    return size * torch.randn(batch, time, inputs, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def stepped_by(rnn: ODERNN, solver: Solver, *, substeps: int = 1) -> ODERNN | None:
    """The network's field under another solver; None where the field lacks the structure that the solver needs.

    A stochastic solver gets the field with a diffusion that is at rest.
    """
    field = NoisyField(rnn.field).eval() if solver.needs is Need.DIFFUSION else rnn.field
    try:
        return ODERNN(
            field,
            solver,
            dt=rnn.dt,
            substeps=substeps,
            hold=rnn.hold,
            batch_first=rnn.batch_first,
            on_divergence="ignore",
        )
    except ValueError:
        return None


def all_solvers() -> dict[str, Solver]:
    """Every registered solver by its name; the adaptive one so strict that its tolerance does not show."""
    strict = TorchdiffeqSolver(rtol=1e-9, atol=1e-9)
    return {name: strict if make is TorchdiffeqSolver else make() for name, make in SOLVERS.items()}
