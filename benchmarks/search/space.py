"""The space of a search: for each option the values to choose from, or a range.

A space is a file in `benchmarks/spaces/`, apart from the files of the runs, since one space suits many of them. Each
line names an option as on the command line, or a section whose options are chosen together:

    model.dt: {choices: [0.01, 0.1, 1.0]}
    optimizer.lr: {low: 0.1, high: 1.0, log: true}
    optimizer: {choices: [{name: sgd, momentum: 0.9}, {name: adagrad, momentum: 0.0}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from benchmarks.settings.parser import read_yaml
from benchmarks.settings.types import BaselineSettings, Settings
from benchmarks.support.errors import UserError

SPACES = Path(__file__).parents[1] / "spaces"


@dataclass(frozen=True)
class Choices:
    """One of several values; each may be a mapping of options."""

    values: tuple[Any, ...]

    def suggest(self, name: str, trial: optuna.trial.BaseTrial) -> Any:
        """The trial's value."""
        return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in self.values]))

    @property
    def shown(self) -> str:
        """The values in words."""
        return ", ".join(json.dumps(value) for value in self.values)


@dataclass(frozen=True)
class Range:
    """A number between two ends, whole if both are; `log` makes equal ratios equally likely."""

    low: float
    high: float
    log: bool = False

    def suggest(self, name: str, trial: optuna.trial.BaseTrial) -> float:
        """The trial's value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    @property
    def shown(self) -> str:
        """The range in words."""
        return f"{self.low} to {self.high}{', by ratios' if self.log else ''}"


Dimension = Choices | Range
Space = Mapping[str, Dimension]


def spaces() -> dict[str, Path]:
    """The spaces there are, by name."""
    return {path.stem: path for path in sorted(SPACES.glob("*.yaml"))}


def default_space(settings: Settings) -> str:
    """The name of the space for a run that names none."""
    return "baseline" if isinstance(settings.model, BaselineSettings) else "wide"


def read_space(name: str, settings: Settings) -> Space:
    """A space by its name in `spaces()` or by its path. Without `model.damping` where the run's field has none.

    Raises:
        UserError: there is none, or it is malformed.
    """
    path = spaces().get(name, Path(name))
    if not path.exists():
        raise UserError(f"`--space` is {name!r}, neither a file nor one of {', '.join(spaces())}")
    space = {option: _dimension(path, option, value) for option, value in read_yaml(path).items()}
    if settings.plain()["model"].get("damping") is None:
        space.pop("model.damping", None)
    return space


def suggest(space: Space, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """The trial's value of every option; those of a section are taken apart."""
    chosen: dict[str, Any] = {}
    for name, dimension in space.items():
        value = dimension.suggest(name, trial)
        chosen |= {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
    return chosen


def to_arguments(chosen: Mapping[str, Any]) -> list[str]:
    """The options as the command line of a run takes them."""
    return [word for name, value in chosen.items() for word in (f"--{name}", _word(value))]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _dimension(path: Path, option: str, value: Any) -> Dimension:
    try:
        if "choices" in value:
            (values,) = value.values()
            return Choices(tuple(values))
        return Range(**value)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: `{option}` is {value!r}; give {{choices: [...]}} or {{low: ., high: .}}") from error
