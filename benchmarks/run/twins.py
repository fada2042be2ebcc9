"""Two trainings that begin almost alike: how fast they part says whether training is chaotic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.models.clipping import clip_gradients
from benchmarks.models.means import RunningMeans, masked_mean
from benchmarks.models.network import build_network
from benchmarks.models.optimizers import make_optimizer
from benchmarks.models.schedule import rate
from benchmarks.objectives import Batch
from benchmarks.settings.types import Settings
from benchmarks.tasks import Task
from benchmarks.tasks.loading import EpochOrder

SMALL = 1e-2
"""Up to this distance twins part as the linearised training says; from it on they are two different runs."""


@dataclass(frozen=True)
class Training:
    """What one training came to.

    Attributes:
        weights: all of them after each step.
        norms: of the gradient, before it is clipped.
        score: on validation data, at the end, by the metric that selects.
    """

    weights: list[Float[Tensor, "weights"]]
    norms: list[float]
    score: float


def train_twin(settings: Settings, task: Task, steps: int, perturbation: float, twin: int) -> Training:
    """Trains a network whose every initial weight is multiplied by 1 + perturbation N(0, 1).

    Optimizer, clipping, batches and the schedule, which spans the steps, are the run's; the precision is 32-true or
    64-true.

    Args:
        settings: of the run.
        task: its data, read.
        steps: of the optimizer.
        perturbation: about a rounding.
        twin: seeds the perturbation; 0 leaves the weights as they are.
    """
    network = build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=settings.seed)
    if settings.trainer.precision == "64-true":
        network.double()
    _perturb(network, perturbation, twin)
    optimizer = make_optimizer(settings.optimizer, network)
    rates = [group["lr"] for group in optimizer.param_groups]
    weights, norms = [], []
    for step, batch in enumerate(itertools.islice(_batches(task), steps)):
        for group, whole in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = whole * rate(settings.schedule, step, steps)
        optimizer.zero_grad()
        _loss(network, task, batch).backward()
        norms.append(float(clip_gradients(list(network.parameters()), settings.trainer)))
        optimizer.step()
        weights.append(torch.cat([each.detach().flatten() for each in network.parameters()]).clone())
    return Training(weights, norms, _score(network, task))


def distances(one: Training, other: Training) -> list[float]:
    """After each step, the norm of the difference of all weights, over the norm of `one`'s."""
    pairs = zip(one.weights, other.weights, strict=True)
    return [float((b - a).norm() / a.norm()) for a, b in pairs]


def exponent(path: Sequence[float]) -> float:
    """The mean growth of the logarithm of a distance, per step, from the first step until it is `SMALL`.

    It estimates the largest Lyapunov exponent of the training. Above 0 by more than 1 / steps, training is chaotic.
    """
    last = max((step for step, distance in enumerate(path) if distance < SMALL), default=0)
    return (math.log(path[last]) - math.log(path[0])) / last if last else math.inf


def _perturb(network: nn.Module, perturbation: float, twin: int) -> None:
    draw = torch.Generator().manual_seed(twin)
    with torch.no_grad():
        for weight in network.parameters() if twin else ():
            weight.mul_(1 + perturbation * torch.randn(weight.shape, generator=draw, dtype=weight.dtype))


def _batches(task: Task) -> Iterator[Batch]:
    loader = task.train_dataloader()
    assert isinstance(loader.sampler, EpochOrder)
    for epoch in itertools.count():
        loader.sampler.set_epoch(epoch)
        yield from loader


def _loss(network: nn.Module, task: Task, batch: Batch) -> Tensor:
    scores = task.objective.score(network(_as(network, batch.x)), batch.target)
    return masked_mean(scores["loss"], batch.mask)


@torch.no_grad()
def _score(network: nn.Module, task: Task) -> float:
    means = RunningMeans()
    for batch in task.val_dataloader():
        means.add(task.objective.score(network(_as(network, batch.x)), batch.target), batch.mask)
    return means.close()[task.objective.selector().name]


def _as(network: nn.Module, x: Tensor) -> Tensor:
    return x.to(next(network.parameters()).dtype)
