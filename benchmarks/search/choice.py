"""What a search has chosen: the file of settings, and a table of what was tried."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState

from benchmarks.settings.names import RunName
from benchmarks.support.markdown import markdown_table

COLUMN = 28  # where the comments of the files of settings begin


def best_of(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The finished trial with the largest value; of equal ones the first."""
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return max(finished, key=lambda trial: trial.values[0], default=None)


def settings_file(name: RunName, chosen: Mapping[str, Any], source: str) -> str:
    """The run's file of settings with the chosen values in it, each with a comment that says who chose it."""
    section, lines = "", []
    for line in name.config.read_text(encoding="utf-8").splitlines():
        key = line.split(":")[0]
        if key and not line.startswith((" ", "#")):
            section = key
        option = f"{section}.{key.strip()}" if line.startswith("  ") else key
        value = _chosen(line, option, chosen)
        lines.append(line if value is None else _line(line, value, source))
    return "\n".join(lines) + "\n"


def _chosen(line: str, option: str, chosen: Mapping[str, Any]) -> Any:
    """What a line's option is to be: the chosen value, or its mapping with the chosen entries; None where none was."""
    if option in chosen:
        return chosen[option]
    prefix = f"{option}."
    entries = {name.removeprefix(prefix): value for name, value in chosen.items() if name.startswith(prefix)}
    if not entries or not line.startswith("  "):
        return None
    return (yaml.safe_load(line)[option.partition(".")[2]] or {}) | entries


def _line(line: str, value: Any, source: str) -> str:
    text = yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
    return f"{line.split(':')[0]}: {text}".ljust(COLUMN) + f" # {source}"


def trials_table(trials: Sequence[FrozenTrial], text: Any) -> str:
    """The trials in Markdown, the best first; `text` makes a value readable."""
    names = sorted({name for trial in trials for name in trial.params})
    head = ["trial", "state", "validation", "epochs", *names]
    rows = [_cells(trial, names, text) for trial in sorted(trials, key=_rank)]
    return markdown_table(head, rows, {"state"})


def _rank(trial: FrozenTrial) -> tuple[bool, float, int]:
    values = _values(trial)
    return not values, -max(values, default=0.0), trial.number


def _values(trial: FrozenTrial) -> list[float]:
    return [] if "diverged" in trial.user_attrs else list(trial.intermediate_values.values())


def _cells(trial: FrozenTrial, names: Sequence[str], text: Any) -> list[str]:
    values = _values(trial)
    state = "diverged" if "diverged" in trial.user_attrs else trial.state.name.lower()
    best = text(max(values)) if values else "–"
    chosen = [_shown(trial.params.get(name, "")) for name in names]
    return [str(trial.number), state, best, str(len(trial.intermediate_values)), *chosen]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    loaded = json.loads(value) if isinstance(value, str) and value else value
    return loaded if isinstance(loaded, str) else json.dumps(loaded) if value != "" else ""
