"""How long each scheme is trained, so that all cost the same: in time, or in evaluations of the field."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from torch import nn

from benchmarks.compare.schemes import Scheme
from benchmarks.models.means import masked_mean
from benchmarks.objectives import Batch, Objective
from benchmarks.support.atomic import write_text
from benchmarks.support.errors import UserError
from odernn.zoo.schema import SchemaError, read_as

Mode = Literal["equal-time", "equal-evaluations"]
MODES: tuple[Mode, ...] = get_args(Mode)

FILE = "plan.json"
REPEATS = 5


@dataclass(frozen=True)
class Cost:
    """What an epoch of training by a scheme costs.

    Attributes:
        seconds: of its optimizer steps, as they were timed before any run.
        evaluations: of the field, forward.
    """

    seconds: float
    evaluations: float

    def by(self, mode: Mode) -> float:
        """The cost that is to be equal."""
        return self.seconds if mode == "equal-time" else self.evaluations


@dataclass(frozen=True)
class Plan:
    """What all runs of a comparison agree on, written down before the first: a second start must not plan again.

    Attributes:
        mode: what is equal.
        settings: of the run that each is a variant of.
        budget: what each run may cost, in seconds or evaluations.
        costs: of an epoch, by the scheme's label.
        epochs: of each run; 0 where an epoch alone costs more than the budget.
    """

    mode: Mode
    settings: dict[str, Any]
    budget: float
    costs: dict[str, Cost]
    epochs: dict[str, int]


def make_plan(mode: Mode, settings: dict[str, Any], own: str, epochs: int, costs: Mapping[str, Cost]) -> Plan:
    """The plan by which every scheme costs at most what `own` costs in so many epochs."""
    budget = epochs * costs[own].by(mode)
    # 3 x 0.1 is a little more than 0.3 in binary
    counts = {label: int(budget / cost.by(mode) + 1e-9) for label, cost in costs.items()}
    return Plan(mode, settings, budget, dict(costs), counts)


def read_plan(path: Path, mode: Mode, settings: dict[str, Any], labels: Sequence[str]) -> Plan | None:
    """The plan in a file; None if there is none yet.

    Raises:
        UserError: it is damaged, or was made for something else.
    """
    if not path.exists():
        return None
    try:
        plan = read_as(Plan, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, SchemaError) as error:
        raise UserError(f"{path} is not the plan of a comparison: {error}. Mend or delete it") from error
    asked = {"mode": mode, "settings": settings, "schemes": sorted(labels)}
    there = {"mode": plan.mode, "settings": plan.settings, "schemes": sorted(plan.costs)}
    differing = [name for name in asked if asked[name] != there[name]]
    if differing:
        raise UserError(
            f"{path} is the plan of a comparison with other {' and '.join(differing)}; name another folder by `--write`"
        )
    return plan


def write_plan(path: Path, plan: Plan) -> None:
    """Writes a plan: all of it or nothing."""
    write_text(path, json.dumps(asdict(plan), indent=2, allow_nan=False) + "\n")


def time_steps(networks: Sequence[nn.Module], objective: Objective, batch: Batch) -> list[float]:
    """The seconds of a forward and a backward pass of each network, the median of a few, all in turn."""
    seconds: list[list[float]] = [[] for _ in networks]
    for repeat in range(REPEATS + 1):
        for network, found in zip(networks, seconds, strict=True):
            began = time.perf_counter()
            scores = objective.score(network(batch.x.to(next(network.parameters()))), batch.target)
            masked_mean(scores["loss"], batch.mask).backward()
            if repeat:  # the first pass builds and fills what the others find
                found.append(time.perf_counter() - began)
            network.zero_grad()
    return [statistics.median(found) for found in seconds]


def label_folder(scheme: Scheme) -> str:
    """A scheme's label as the name of a folder."""
    return f"{scheme.name}-x{scheme.substeps}"
