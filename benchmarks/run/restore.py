"""A run read back from its folder: its settings, its task, and its network at several moments of the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.models.network import build_network
from benchmarks.report.result import read_result
from benchmarks.run.checkpoint import AtomicCheckpointIO
from benchmarks.run.folder import RunFolder
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.names import RunName
from benchmarks.settings.parser import read_yaml
from benchmarks.settings.types import Settings, settings_from
from benchmarks.support.errors import UserError
from benchmarks.tasks import TASKS, Task
from odernn import SequenceNetwork

START, LAST, BEST = "at the start", "last epoch", "best epoch"


@dataclass(frozen=True)
class RestoredRun:
    """What the folder of a run holds.

    Attributes:
        folder: where it lies.
        name: the run's.
        settings: every number of it.
        task: its task, with data read.
        networks: the network, by the moment of the training: `START`, `LAST` and `BEST`, on validation data.
    """

    folder: RunFolder
    name: RunName
    settings: Settings
    task: Task
    networks: Mapping[str, SequenceNetwork]

    @property
    def title(self) -> str:
        """The run's title and name."""
        return f"{self.settings.title}, {self.name}"


def restore(path: Path, data_dir: Path | None, option: str = "--run") -> RestoredRun:
    """The run in the folder `path`.

    Args:
        path: the folder of a run, <task>/<row>/seed-<n>.
        data_dir: for a task that reads files.
        option: what named the folder, for the messages.

    Raises:
        UserError: no run lies there, it has no checkpoint yet or a damaged one, or its data cannot be had.
    """
    folder = RunFolder(path)
    if not folder.config.exists():
        raise UserError(f"`{option}` is {path}, which holds no {folder.config.name}; name the folder of a run")
    if not folder.checkpoint.exists():
        raise UserError(f"`{option}` is {path}, which holds no {folder.checkpoint.name}: no epoch of it has ended yet")
    settings = _read_settings(folder.config)
    spec = RunSpec(RunName(_task_name(path, option), path.resolve().parent.name), settings, path, data_dir)
    task = make_task(spec)
    networks = read_networks(settings, task, folder.checkpoint)
    read_data(task)
    return RestoredRun(folder, spec.name, settings, task, networks)


def read_ended(path: Path, data_dir: Path | None) -> RestoredRun:
    """The run in a folder, which must have ended, and not by diverging.

    Raises:
        UserError: it has not, there is none, or its files or its data cannot be read.
    """
    if not path.is_dir():
        raise UserError(f"`run` is {path}, and there is no such folder; name the folder of a run, or its <task>/<row>")
    result = RunFolder(path).result
    if RunFolder(path).config.exists() and not result.exists():
        raise UserError(f"`run` is {path}, a run that has not ended; go on with it by `train` first")
    if result.exists() and (failure := read_result(result).failure) is not None:
        raise UserError(f"`run` is {path}, a run that diverged ({failure}); there are no trained weights")
    return restore(path, data_dir, "run")


def read_networks(settings: Settings, task: Task, checkpoint: Path) -> dict[str, SequenceNetwork]:
    """The networks in a checkpoint, by the moment of the training.

    Raises:
        UserError: it is damaged, holds no best weights, or weights that do not fit the settings.
    """
    weights = _weights(AtomicCheckpointIO().load_checkpoint(checkpoint), checkpoint)
    return {moment: _network(settings, task, found, checkpoint) for moment, found in weights.items()}


def _task_name(path: Path, option: str) -> str:
    name = path.resolve().parent.parent.name
    if name in TASKS:
        return name
    raise UserError(
        f"`{option}` is {path}; the folder of a run is <task>/<row>/seed-<n>, with a task of {', '.join(TASKS)}"
    )


def _read_settings(path: Path) -> Settings:
    """The settings that a run wrote."""
    try:
        return settings_from(read_yaml(path))
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is of another version of this program: {error}") from error


def _weights(checkpoint: Mapping[str, Any], path: Path) -> dict[str, Mapping[str, Tensor] | None]:
    """The weights by the moment; None at the start, where the seed makes them."""
    histories = [state for state in checkpoint.get("callbacks", {}).values() if "best" in state]
    if not histories:
        raise UserError(f"the checkpoint {path} holds no best weights; train the run with this version")
    states, prefix = checkpoint["state_dict"], "network."
    last = {key.removeprefix(prefix): states[key] for key in states if key.startswith(prefix)}
    return {START: None, LAST: last, BEST: histories[0]["best"]}


def _network(settings: Settings, task: Task, weights: Mapping[str, Tensor] | None, path: Path) -> SequenceNetwork:
    network = build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=settings.seed)
    if settings.trainer.precision == "64-true":
        network.double()
    if weights is not None:
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise UserError(f"the weights in {path} do not fit its settings: {str(error).splitlines()[0]}") from error
    return network.eval()
