"""A run trained by each of several schemes at the same cost."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.compare.plan import FILE, Cost, Mode, Plan, label_folder, make_plan, read_plan, time_steps, write_plan
from benchmarks.compare.schemes import LeftOut, Scheme, choose, refusal_of
from benchmarks.figures.evaluations import evaluations_a_step
from benchmarks.models.network import build_network
from benchmarks.report.result import RunResult, read_result
from benchmarks.run.pool import run_all
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.types import ODESettings, Settings
from benchmarks.support.errors import UserError
from benchmarks.support.threads import threads
from benchmarks.tasks import Task
from odernn import ODERNN, ODERecurrence, SequenceNetwork


@dataclass(frozen=True)
class Trained:
    """A scheme's run.

    Attributes:
        scheme: the scheme.
        cost: of an epoch, as planned.
        result: what it came to.
    """

    scheme: Scheme
    cost: Cost
    result: RunResult

    @property
    def seconds(self) -> list[float]:
        """From the start to the end of each epoch, training and validation."""
        passed, found = 0.0, []
        for row in self.result.history:
            passed += row.seconds
            found.append(passed)
        return found

    @property
    def evaluations(self) -> list[float]:
        """Evaluations of the field from the start to the end of each epoch, in the forward passes of training."""
        return [self.cost.evaluations * row.epoch for row in self.result.history]


@dataclass(frozen=True)
class Training:
    """A run trained by several schemes.

    Attributes:
        spec: the run that each is a variant of.
        task: its task.
        plan: how long each trains.
        runs: those that have been trained.
        left_out: the others, with the reason.
    """

    spec: RunSpec
    task: Task
    plan: Plan
    runs: Sequence[Trained]
    left_out: Sequence[LeftOut]


def train_schemes(
    spec: RunSpec, mode: Mode, names: Sequence[str], substeps: Sequence[int], folder: Path, jobs: int
) -> Training:
    """Trains a run by each scheme that takes its field, or goes on where an earlier start stopped.

    Args:
        spec: the run; its epochs, by its own scheme, are the budget of every other.
        mode: what is equal.
        names: of the solvers.
        substeps: of each of them.
        folder: where the plan and the runs go.
        jobs: runs at once. Their seconds tell something only if they do not get in each other's way.

    Raises:
        UserError: the run has no solver, or the folder holds another comparison.
        WriteError: it cannot be written to.
    """
    model = _model(spec)
    task = make_task(spec)
    read_data(task)
    rnn = _layer(_network(spec.settings, task))
    own = (model.solver, model.substeps)
    schemes, left_out = choose(own, names, substeps, refusal_of(rnn))
    plan = _plan(spec, task, mode, schemes, folder)
    trained = [scheme for scheme in schemes if plan.epochs[scheme.label]]
    left_out += [_too_dear(scheme, plan) for scheme in schemes if not plan.epochs[scheme.label]]
    specs = [_variant(spec, scheme, plan.epochs[scheme.label], folder) for scheme in trained]
    run_all(specs, jobs)
    runs = [
        Trained(scheme, plan.costs[scheme.label], read_result(each.folder.result))
        for scheme, each in zip(trained, specs, strict=True)
    ]
    return Training(spec, task, plan, runs, left_out)


def _plan(spec: RunSpec, task: Task, mode: Mode, schemes: Sequence[Scheme], folder: Path) -> Plan:
    path, settings = folder / FILE, json.loads(json.dumps(spec.settings.plain()))  # tuples are lists in a file
    found = read_plan(path, mode, settings, [scheme.label for scheme in schemes])
    if found is not None:
        return found
    costs = _costs(spec, task, schemes)
    plan = make_plan(mode, settings, schemes[0].label, spec.settings.epochs, costs)
    write_plan(path, plan)
    return plan


def _costs(spec: RunSpec, task: Task, schemes: Sequence[Scheme]) -> dict[str, Cost]:
    """What an epoch by each scheme costs, by its label."""
    batch = next(iter(task.train_dataloader()))
    samples = len(task.splits.train)
    networks = [_network(_settings(spec.settings, scheme, 1), task) for scheme in schemes]
    with threads(spec.settings.trainer.threads):
        seconds = time_steps(networks, task.objective, batch)
    steps = math.ceil(samples / task.batch_size)
    with torch.no_grad():
        x = networks[0].encoder(batch.x.to(next(networks[0].parameters())))
    return {
        scheme.label: Cost(
            steps * each, samples * task.length * scheme.substeps * evaluations_a_step(_layer(network), x)
        )
        for scheme, each, network in zip(schemes, seconds, networks, strict=True)
    }


def _variant(spec: RunSpec, scheme: Scheme, epochs: int, folder: Path) -> RunSpec:
    return replace(spec, settings=_settings(spec.settings, scheme, epochs), out=folder / label_folder(scheme))


def _settings(settings: Settings, scheme: Scheme, epochs: int) -> Settings:
    """The run's settings by another scheme; engine and adjoint are those that suit it, the adjoint being exact."""
    assert isinstance(settings.model, ODESettings)
    model = replace(settings.model, solver=scheme.name, substeps=scheme.substeps, engine="auto", adjoint="auto")
    return replace(settings, title=f"{settings.title}, {scheme.label}", epochs=epochs, model=model)


def _too_dear(scheme: Scheme, plan: Plan) -> LeftOut:
    share = plan.costs[scheme.label].by(plan.mode) / plan.budget
    reason = f"one epoch costs {share:.3g} times the budget; give every scheme more, with `--epochs`"
    return LeftOut(scheme.label, reason)


def _model(spec: RunSpec) -> ODESettings:
    if isinstance(spec.settings.model, ODESettings):
        return spec.settings.model
    raise UserError(f"`run` is {spec.name}, a network of torch, which has no solver to compare; name another")


def _network(settings: Settings, task: Task) -> SequenceNetwork:
    network = build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=settings.seed)
    return network.double() if settings.trainer.precision == "64-true" else network


def _layer(network: SequenceNetwork) -> ODERNN:
    assert isinstance(network.recurrent, ODERecurrence)
    return network.recurrent.rnn
