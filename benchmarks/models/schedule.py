"""The learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.settings.types import ScheduleSettings

START = 1 / 25  # where a warm-up begins, as a share of the largest rate: torch's default for one cycle


def rate(schedule: ScheduleSettings, step: int, total: int) -> float:
    """The rate of step `step` of `total`, counted from 0, as a share of the largest one.

    Every milestone that lies behind multiplies what the shape gives.

    Source: a cosine after a rise is the one-cycle schedule of Smith & Topin, Super-Convergence, arXiv 1708.07120, in
    its form with cosines for both.
    """
    behind = sum(step >= milestone * total for milestone in schedule.milestones)
    return _shape(schedule, step, total) * schedule.milestone_factor**behind


class Plateaus:
    """How often an epoch was not better on validation data than every one before it, and what that does to the rate.

    Attributes:
        factor: of the rate, for each such epoch.
        best: the merit of the best epoch so far, as the objective compares epochs; None before the first.
        count: of such epochs.
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.best: tuple[float, ...] | None = None
        self.count = 0

    @property
    def share(self) -> float:
        """The rate as a share of what it would be without plateaus."""
        return self.factor**self.count

    def end_epoch(self, merit: tuple[float, ...]) -> bool:
        """Takes note of an epoch, and says whether it was not better."""
        if self.best is None or merit > self.best:
            self.best = merit
            return False
        self.count += 1
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.best, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """What `state_dict` gave."""
        self.best, self.count = state["best"], state["count"]


def rate_function(schedule: ScheduleSettings, total: int, plateaus: Plateaus) -> Callable[[int], float]:
    """`rate` as torch's LambdaLR wants it: a plain function, of which a checkpoint keeps nothing."""

    def share(step: int) -> float:
        return rate(schedule, step, total) * plateaus.share

    return share


def _shape(schedule: ScheduleSettings, step: int, total: int) -> float:
    rise = schedule.warm_up * total
    if step < rise:
        return START + (1 - START) * _cosine(step / rise)
    return _fall(schedule, (step - rise) / max(total - 1 - rise, 1))


def _fall(schedule: ScheduleSettings, progress: float) -> float:
    done = min(progress, 1.0)
    if schedule.shape == "constant":
        return 1.0
    if schedule.shape == "cosine":
        done = _cosine(done)
    return 1 + (schedule.end - 1) * done


def _cosine(progress: float) -> float:
    return (1 - math.cos(math.pi * progress)) / 2
