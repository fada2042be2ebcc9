"""The checkpoint of an ensemble as those of its seeds: on the disk lies what the run of each seed by itself writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from torch import Tensor

from benchmarks.run.checkpoint import AtomicCheckpointIO
from benchmarks.run.history import RunHistory
from benchmarks.run.seeds_history import SeedsHistory

ONE, MANY = RunHistory.__qualname__, SeedsHistory.__qualname__
"""The callbacks under whose names lightning keeps what was recorded."""
_INSIDE = {"network.network.": "network.", "average.module.network.": "average.module."}
"""Names of an ensemble's weights, and what they are in a run of one seed."""
_COMMON = ("average.n_averaged", "step")
"""Entries that all seeds have in common."""

Checkpoint = dict[str, Any]


class SeedsCheckpointIO(CheckpointIO):
    """Writes the checkpoint of an ensemble as one for each seed, and reads them back as one.

    Args:
        paths: of the seeds' checkpoints.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._one = AtomicCheckpointIO()

    def save_checkpoint(self, checkpoint: Checkpoint, path: str | Path, storage_options: Any | None = None) -> None:
        for model, own in enumerate(self._paths):
            self._one.save_checkpoint(of_seed(checkpoint, model), own)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = "cpu", weights_only: bool | None = True
    ) -> Checkpoint:
        """The checkpoints of all seeds as one.

        Raises:
            UserError: one is damaged, or holds more than tensors and plain values.
        """
        return of_ensemble([self._one.load_checkpoint(each) for each in self._paths])

    def remove_checkpoint(self, path: str | Path) -> None:
        for each in self._paths:
            each.unlink(missing_ok=True)


def of_seed(checkpoint: Checkpoint, model: int) -> Checkpoint:
    """The part of an ensemble's checkpoint that is a network's."""

    def own(name: str, value: Any) -> Any:
        return value[model].clone() if isinstance(value, Tensor) and name not in _COMMON else value

    return checkpoint | {
        "state_dict": {_renamed(name, _INSIDE): own(name, value) for name, value in checkpoint["state_dict"].items()},
        "optimizer_states": [_mapped(state, own) for state in checkpoint["optimizer_states"]],
        "callbacks": {ONE: checkpoint["callbacks"][MANY]["seeds"][model]},
        "plateaus": checkpoint["plateaus"][model],
    }


def of_ensemble(parts: Sequence[Checkpoint]) -> Checkpoint:
    """The checkpoint of an ensemble, from those of its seeds after the same epoch."""
    outside = {value: key for key, value in _INSIDE.items()}
    states = [part["state_dict"] for part in parts]
    optimizers = [part["optimizer_states"] for part in parts]

    def together(place: int, number: Any) -> Callable[[str, Any], Any]:
        def stacked(name: str, value: Any) -> Any:
            if not isinstance(value, Tensor) or name in _COMMON:
                return value
            return torch.stack([each[place]["state"][number][name] for each in optimizers])

        return stacked

    return parts[0] | {
        "state_dict": {
            _renamed(name, outside): value if name in _COMMON else torch.stack([state[name] for state in states])
            for name, value in states[0].items()
        },
        "optimizer_states": [
            state
            | {"state": {n: {k: together(i, n)(k, v) for k, v in each.items()} for n, each in state["state"].items()}}
            for i, state in enumerate(optimizers[0])
        ],
        "callbacks": {MANY: {"seeds": [part["callbacks"][ONE] for part in parts]}},
        "plateaus": [part["plateaus"] for part in parts],
    }


def _mapped(optimizer: Checkpoint, change: Callable[[str, Any], Any]) -> Checkpoint:
    """An optimizer's state with every entry changed, which is given its name and its value."""
    states = optimizer["state"].items()
    return optimizer | {"state": {n: {name: change(name, v) for name, v in each.items()} for n, each in states}}


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    for old, new in prefixes.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
