"""Two trainings that begin almost alike: how fast they part says whether training is chaotic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.models.chunks import ChunkRunner
from benchmarks.models.clipping import clip_gradients
from benchmarks.models.means import RunningMeans, masked_mean
from benchmarks.models.network import build_network
from benchmarks.models.optimizers import make_optimizer
from benchmarks.models.schedule import rate
from benchmarks.objectives import Batch
from benchmarks.settings.types import Settings
from benchmarks.support.errors import UserError
from benchmarks.tasks import Task
from benchmarks.tasks.loading import EpochOrder
from odernn import SequenceNetwork

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

    Raises:
        UserError: the schedule waits for plateaus of the validation score, which is not looked at here.
    """
    if settings.schedule.plateau_factor != 1:
        raise UserError(
            f"`schedule.plateau_factor` is {settings.schedule.plateau_factor}, and twins train without validation; "
            "give --schedule.plateau_factor 1"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # a dropout draws the same for all twins
        return _train_twin(settings, task, steps, perturbation, twin)


def _train_twin(settings: Settings, task: Task, steps: int, perturbation: float, twin: int) -> Training:
    network = build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=settings.seed)
    if settings.trainer.precision == "64-true":
        network.double()
    _perturb(network, perturbation, twin)
    optimizer = make_optimizer(settings.optimizer, network)
    rates = [group["lr"] for group in optimizer.param_groups]
    weights, norms = [], []
    run = ChunkRunner(carries_state=task.carries_state)
    for step, (batch, begins) in enumerate(itertools.islice(_batches(task), steps)):
        for group, whole in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = whole * rate(settings.schedule, step, steps)
        optimizer.zero_grad()
        scores = task.objective.score(run(network, _as(network, batch.x), begins=begins), batch.target)
        masked_mean(scores["loss"], batch.mask).backward()
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


def _batches(task: Task) -> Iterator[tuple[Batch, bool]]:
    """The training batches of one epoch after another, and of each whether it is the first."""
    loader = task.train_dataloader()
    assert isinstance(loader.sampler, EpochOrder)
    for epoch in itertools.count():
        loader.sampler.set_epoch(epoch)
        for index, batch in enumerate(loader):
            yield batch, index == 0


@torch.no_grad()
def _score(network: SequenceNetwork, task: Task) -> float:
    means, run = RunningMeans(), ChunkRunner(carries_state=task.carries_state)
    network.eval()
    for index, batch in enumerate(task.val_dataloader()):
        output = run(network, _as(network, batch.x), begins=index == 0)
        means.add(task.objective.score(output, batch.target), batch.mask)
    return task.objective.summarise(means.close())[task.objective.selector().name]


def _as(network: nn.Module, x: Tensor) -> Tensor:
    return x.to(next(network.parameters()).dtype)
