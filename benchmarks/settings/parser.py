"""From a file of settings and the command line to `Settings`: jsonargparse, with nothing of ours in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from benchmarks.settings.names import RunName
from benchmarks.settings.types import (
    AverageSettings,
    BaselineSettings,
    ODESettings,
    OptimizerSettings,
    ScheduleSettings,
    Settings,
    TrainerSettings,
)
from benchmarks.support.errors import UserError
from benchmarks.tasks import TASKS

# These arguments of a task are not settings of it: the run has one seed, and a folder is not a property of a run.
NO_SETTINGS: set[str | int] = {"seed", "data_dir"}


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of settings as dictionaries.

    Raises:
        UserError: it cannot be read, or is not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no mapping of settings but {type(content).__name__}")
    return content


def make_parser(name: RunName) -> ArgumentParser:
    """The parser of one run's settings, its file's values being the defaults.

    The task's options are the arguments of its class; the model's are those of an ODE network or of a baseline,
    whichever the file holds.
    """
    if name.task not in TASKS:
        raise UserError(f"{name.config} is for the task {name.task!r}; there are {', '.join(TASKS)}")
    parser = ArgumentParser(
        prog=f"python -m benchmarks train {name}",
        description=f"Train {name}. Each default is the value in {name.config.name}, which says where it comes from.",
        default_config_files=[str(name.config)],
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="A file of settings instead of the run's own.")
    parser.add_argument("--title", type=str, required=True, help="The run's name in a table.")
    parser.add_argument("--epochs", type=PositiveInt, required=True, help="Passes over the training data.")
    parser.add_argument("--seed", type=NonNegativeInt, required=True, help="Of the weights and the training order.")
    parser.add_class_arguments(TASKS[name.task], "task", skip=NO_SETTINGS)
    parser.add_class_arguments(_model_class(name), "model")
    parser.add_class_arguments(OptimizerSettings, "optimizer")
    parser.add_class_arguments(ScheduleSettings, "schedule")
    parser.add_class_arguments(AverageSettings, "average")
    parser.add_class_arguments(TrainerSettings, "trainer")
    return parser


def to_settings(parser: ArgumentParser, name: RunName, parsed: Namespace) -> Settings:
    """What `parser` understood, as plain numbers: jsonargparse's restricted ones are classes that YAML does not know.

    The task stays a dictionary: its class is made with a seed and a folder.
    """
    plain = json.loads(parser.dump(parsed, format="json", skip_unset=False))
    model = _model_class(name)(**plain["model"])
    return Settings(
        title=plain["title"],
        epochs=plain["epochs"],
        seed=plain["seed"],
        task=plain["task"],
        model=model,
        optimizer=OptimizerSettings(**plain["optimizer"]),
        schedule=ScheduleSettings(**plain["schedule"]),
        average=AverageSettings(**plain["average"]),
        trainer=TrainerSettings(**plain["trainer"]),
    )


def read_settings(name: RunName, args: Sequence[str] = ()) -> Settings:
    """The settings of a run, with what `args` overrides, such as ["--model.dt", "0.1"].

    Raises:
        argparse.ArgumentError: an option that there is not, or a value that its type does not take.
    """
    parser = make_parser(name)
    return to_settings(parser, name, parser.parse_args(args))


def _model_class(name: RunName) -> type[ODESettings] | type[BaselineSettings]:
    model = read_yaml(name.config).get("model")
    return BaselineSettings if isinstance(model, dict) and "kind" in model else ODESettings
