"""How long the runs of a table may train: a glance, an hour, or as long as in the paper."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from benchmarks.settings.types import BaselineSettings, ODESettings, Settings
from benchmarks.support.errors import UserError
from solvers import SOLVERS

Budget = Literal["smoke", "short", "paper"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)

SMOKE = ("--epochs", "2", "--task.limit", "256")

# Epochs that one Euler step a sample gets through in about an hour on two cores.
EPOCHS_AN_HOUR = {"smnist": 60, "pmnist": 60, "pixel-cifar": 24, "noise-padded-cifar": 20, "noise-padded-mnist": 30}
# How many times as long an epoch of torch's own layers takes there.
BASELINE_COST = {"rnn": 2.0, "gru": 4.0, "lstm": 5.0}
# An implicit step solves an equation by Newton's method, with a matrix of its own for each sequence.
IMPLICIT_COST = 400.0

PAPER_ITERATIONS = {"smnist": 50_000, "pmnist": 50_000, "pixel-cifar": 50_000, "noise-padded-cifar": 10_000}


def budget_options(budget: Budget, task: str, settings: Settings, samples: Callable[[], int]) -> list[str]:
    """The options of `train` that a budget stands for.

    Args:
        budget: "smoke" is two epochs on the first 256 samples of each part; "short" about an hour a run on two cores;
            "paper" the paper's number of optimizer steps, rounded up to whole epochs.
        task: the run's task.
        settings: of the run.
        samples: counts those of the training part; asked for the paper's budget only, since it reads the data.

    Raises:
        UserError: the task has no such budget.
    """
    if budget == "smoke":
        return list(SMOKE)
    known = EPOCHS_AN_HOUR if budget == "short" else PAPER_ITERATIONS
    if task not in known:
        raise UserError(f"`--budget {budget}` is for {', '.join(known)}; give {task} its `--epochs`")
    if budget == "short":
        return ["--epochs", str(max(1, round(EPOCHS_AN_HOUR[task] / cost(settings))))]
    return ["--epochs", str(math.ceil(PAPER_ITERATIONS[task] / _steps_an_epoch(settings, samples())))]


def _steps_an_epoch(settings: Settings, samples: int) -> int:
    return math.ceil(samples / settings.task["batch_size"])


def cost(settings: Settings) -> float:
    """How many times as long an epoch takes as with one Euler step a sample, about."""
    model = settings.model
    if isinstance(model, BaselineSettings):
        return BASELINE_COST[model.kind]
    return _solver_cost(model) * model.substeps


def _solver_cost(model: ODESettings) -> float:
    solver = SOLVERS[model.solver]()
    return IMPLICIT_COST if solver.family == "implicit" else float(solver.num_evals)
