"""The learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

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


def rate_function(schedule: ScheduleSettings, total: int) -> Callable[[int], float]:
    """`rate` as torch's LambdaLR wants it: a plain function, of which a checkpoint keeps nothing."""

    def share(step: int) -> float:
        return rate(schedule, step, total)

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
