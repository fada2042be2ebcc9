"""Whether a result says what can be true: what can be counted again from its settings is counted again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from benchmarks.data import cifar10, digits, mnist
from benchmarks.models.network import build_network, count_parameters
from benchmarks.report.result import RunResult, read_result
from benchmarks.run.describe import ODE_FIELDS
from benchmarks.run.folder import RunFolder
from benchmarks.run.restore import read_networks
from benchmarks.run.spec import RunSpec, make_task
from benchmarks.settings.names import RunName
from benchmarks.settings.types import ODESettings, Settings, settings_from
from benchmarks.support.errors import UserError
from benchmarks.tasks import TASKS, Task
from odernn import SequenceNetwork
from odernn.zoo.files import WEIGHTS

PUBLISHED: Mapping[str, str] = MappingProxyType(
    {file.name: file.sha256 for file in (*mnist.FILES, *cifar10.FILES)} | {digits.NAME: digits.SHA256}
)
"""The checksum of each published data file."""


@dataclass(frozen=True, eq=False)
class Verified:
    """A result that was checked, with the network that its settings make, untrained.

    Attributes:
        path: of the file.
        result: its content.
        settings: those in it.
        task: the task, without data.
        network: the network.
    """

    path: Path
    result: RunResult
    settings: Settings
    task: Task
    network: SequenceNetwork


def verify(path: Path) -> Verified:
    """The result in a file, if it holds together.

    Its settings must make its task and a network of so many parameters, the weights beside it must fit, its fields
    must agree with its settings and its scores with its history, and data that it calls published must be.

    Raises:
        UserError: it does not; the message says what is wrong.
    """
    result = read_result(path)
    settings = _settings(result)
    _check_agreement(result, settings)
    _check_scores(result)
    _check_data(result)
    if result.task not in TASKS:
        raise UserError(f"`task` is {result.task!r}; there are {', '.join(TASKS)}")
    task = make_task(RunSpec(RunName(result.task, result.row), settings, path.parent))
    network = build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=settings.seed)
    if (count := count_parameters(network)) != result.parameters:
        raise UserError(f"`parameters` is {result.parameters:,}, and its settings make a network of {count:,}")
    if task.objective.name != result.objective:
        raise UserError(f"`objective` is {result.objective!r}, and {result.task} is for {task.objective.name}")
    _check_weights(path.parent, settings, task, network)
    return Verified(path, result, settings, task, network)


def _settings(result: RunResult) -> Settings:
    try:
        return settings_from(result.settings)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"`settings` are not those of a run: {error}") from error


def _check_agreement(result: RunResult, settings: Settings) -> None:
    """The fields that repeat a setting."""
    given: dict[str, Any] = {"title": settings.title, "epochs": settings.epochs, "seed": settings.seed}
    model = vars(settings.model)
    names = ODE_FIELDS if isinstance(settings.model, ODESettings) else ()
    given |= {name: model[name] for name in names} | {name: None for name in ODE_FIELDS if name not in names}
    for name, wanted in given.items():
        if (found := getattr(result, name)) != wanted:
            raise UserError(f"`{name}` is {found!r}, and its settings say {wanted!r}")


def _check_scores(result: RunResult) -> None:
    """The scores against the epochs that they are of."""
    history, best = result.history, result.best_epoch
    if [row.epoch for row in history] != list(range(1, len(history) + 1)):
        raise UserError("`history` does not count its epochs from 1")
    if result.metrics is None or best is None:
        return
    if len(history) != result.epochs or not 1 <= best <= len(history):
        raise UserError(f"`history` has {len(history)} epochs and `best_epoch` is {best}, of {result.epochs}")
    merits = [result.objective_class.merit(row.val) for row in history]
    if merits[best - 1] != max(merits):
        raise UserError(f"`best_epoch` is {best}, and epoch {1 + merits.index(max(merits))} was better on validation")
    for metric in result.objective_class.metrics:
        scores = result.metrics[metric.name]
        seen = {"train": history[-1].train[metric.name], "val": history[best - 1].val[metric.name]}
        for part, value in seen.items():
            if not isclose(getattr(scores, part), value, rel_tol=1e-9, abs_tol=0):  # written and read as decimals
                raise UserError(f"`metrics.{metric.name}.{part}` is {getattr(scores, part)}, and `history` has {value}")
        if metric.unit == "%" and not 0 <= scores.test <= 1:
            raise UserError(f"`metrics.{metric.name}.test` is {scores.test}, which is not between 0 and 1")


def _check_data(result: RunResult) -> None:
    for name, file in result.data.items():
        if file.verified and name in PUBLISHED and file.sha256 != PUBLISHED[name]:
            raise UserError(f"`data.{name}` is called the published file, whose sha256 is another one")


def _check_weights(folder: Path, settings: Settings, task: Task, network: SequenceNetwork) -> None:
    """The weights beside the result, where there are some."""
    if (checkpoint := RunFolder(folder).checkpoint).exists():
        read_networks(settings, task, checkpoint)
    if (weights := folder / WEIGHTS).exists():
        try:
            network.load_state_dict(load_file(weights))
        except (OSError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"the weights in {weights.name} do not fit its settings: {reason}") from error
