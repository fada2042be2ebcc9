"""A trained network from the folder of its run: its weights at several epochs, and samples of its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.models.baselines import Baseline
from benchmarks.models.network import ODERecurrence, SequenceNetwork, build_network
from benchmarks.run.checkpoint import AtomicCheckpointIO
from benchmarks.run.folder import RunFolder
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.names import RunName
from benchmarks.settings.parser import read_yaml
from benchmarks.settings.types import (
    BaselineSettings,
    ODESettings,
    OptimizerSettings,
    ScheduleSettings,
    Settings,
    TrainerSettings,
)
from benchmarks.support.errors import UserError
from benchmarks.tasks import TASKS
from odernn import ODERNN

BEST = "best epoch"


@dataclass(frozen=True)
class TrainedNetwork:
    """A network at several moments of its training.

    Attributes:
        title: of the run.
        moments: the recurrent layer, an ODERNN or a layer of torch, at the start, after the last epoch and after the
            one with the best validation accuracy.
        x: validation samples of its task (batch, time, input).
    """

    title: str
    moments: Mapping[str, ODERNN | nn.Module]
    x: Float[Tensor, "batch time input"]

    @property
    def best(self) -> ODERNN:
        """The network of the epoch with the best validation accuracy.

        Raises:
            UserError: it is a layer of torch, which is not a vector field.
        """
        rnn = self.moments[BEST]
        if isinstance(rnn, ODERNN):
            return rnn
        raise UserError(
            f"the run {self.title!r} trained torch's {type(rnn).__name__}, which has no vector field; name a run of an "
            "ODE network with `--run`, or ask for `--only figure2`"
        )


def read_trained(path: Path, data_dir: Path | None, sequences: int) -> TrainedNetwork:
    """The network of the run folder `path`, with `sequences` validation samples.

    Raises:
        UserError: no run lies there, it has no checkpoint yet, or its data cannot be had.
    """
    folder = RunFolder(path)
    if not folder.config.exists():
        raise UserError(f"`--run` is {path}, which holds no {folder.config.name}; name the folder of a run")
    if not folder.checkpoint.exists():
        raise UserError(f"`--run` is {path}, which holds no {folder.checkpoint.name}: no epoch of it has ended yet")
    settings = _settings(folder.config)
    spec = RunSpec(RunName(_task_name(path), path.resolve().parent.name), settings, path, data_dir)
    checkpoint = AtomicCheckpointIO().load_checkpoint(folder.checkpoint)
    task = make_task(spec)
    read_data(task)
    x = task.splits.val.__getitems__(range(sequences)).x
    moments = {}
    for moment, weights in _weights(checkpoint, folder.checkpoint).items():
        network = build_network(
            settings.model, input_size=task.input_size, objective=task.objective, seed=settings.seed
        )
        _load(network, weights, folder.checkpoint)
        moments[moment] = _recurrent(network)
    return TrainedNetwork(f"{settings.title}, {spec.name}", moments, x)


def _task_name(path: Path) -> str:
    name = path.resolve().parent.parent.name
    if name in TASKS:
        return name
    raise UserError(
        f"`--run` is {path}; the folder of a run is <task>/<row>/seed-<n>, with a task of {', '.join(TASKS)}"
    )


def _settings(path: Path) -> Settings:
    """The settings that a run wrote."""
    plain = read_yaml(path)
    try:
        model = plain["model"]
        kind = BaselineSettings if "kind" in model else ODESettings
        parts = {
            "model": kind(**model),
            "optimizer": OptimizerSettings(**plain["optimizer"]),
            "schedule": ScheduleSettings(**plain["schedule"]),
            "trainer": TrainerSettings(**plain["trainer"]),
        }
        return Settings(**(plain | parts))
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is of another version of this program: {error}") from error


def _weights(checkpoint: Mapping[str, Any], path: Path) -> dict[str, Mapping[str, Tensor] | None]:
    """The weights by the moment; None at the start, where the seed makes them."""
    histories = [state for state in checkpoint.get("callbacks", {}).values() if "best" in state]
    if not histories:
        raise UserError(f"the checkpoint {path} holds no best weights; train the run with this version")
    prefix = "network."
    last = {key.removeprefix(prefix): value for key, value in checkpoint["state_dict"].items()}
    return {"at the start": None, "last epoch": last, BEST: histories[0]["best"]}


def _load(network: SequenceNetwork, weights: Mapping[str, Tensor] | None, path: Path) -> None:
    if weights is None:
        return
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise UserError(f"the weights in {path} do not fit its settings: {str(error).splitlines()[0]}") from error


def _recurrent(network: SequenceNetwork) -> ODERNN | nn.Module:
    part = network.recurrent
    assert isinstance(part, ODERecurrence | Baseline)
    return part.rnn.eval()
