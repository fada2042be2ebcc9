"""Where a run's metrics go besides its own log: TensorBoard, Weights & Biases."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from benchmarks.settings.types import Settings, flatten
from benchmarks.support.errors import UserError

LoggerName = Literal["tensorboard", "wandb"]
PROJECT = "odernn"


def logger_names(text: str) -> tuple[LoggerName, ...]:
    """Names with commas between them.

    Raises:
        UserError: one of them is not a logger's.
    """
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in LOGGERS:
            raise UserError(f"`--loggers` names {name!r}; choose from {', '.join(LOGGERS)}")
    return tuple(name for name in LOGGERS if name in names)


def make_loggers(names: tuple[LoggerName, ...], folder: Path, run: str, settings: Settings) -> list[Logger]:
    """lightning's loggers, each told the settings of the run. A run that continues adds to what it logged before.

    Args:
        names: which of them.
        folder: the run's own; what they write goes beneath it.
        run: the run's name, such as "digits/lstm".
        settings: of the run.

    Raises:
        UserError: a logger's package is not installed.
    """
    loggers = []
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"`--loggers {name}` needs the package {name}: python -m pip install {name}")
        loggers.append(LOGGERS[name](folder, f"{run}/seed-{settings.seed}"))
        loggers[-1].log_hyperparams(flatten(settings.plain()))
    return loggers


def _tensorboard(folder: Path, run: str) -> Logger:
    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)


def _wandb(folder: Path, run: str) -> Logger:
    # The same id again makes a run that continues the same run there.
    return WandbLogger(project=PROJECT, name=run, id=run.replace("/", "-"), save_dir=folder, resume="allow")


LOGGERS: Mapping[LoggerName, Callable[[Path, str], Logger]] = MappingProxyType(
    {"tensorboard": _tensorboard, "wandb": _wandb}
)
