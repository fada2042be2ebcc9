"""The contract of an objective."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar, Literal

from jaxtyping import Float, Shaped
from torch import Tensor

from benchmarks.objectives.metric import Metric

ReadFrom = Literal["end", "trajectory"]


class Objective(abc.ABC):
    """What a network is trained for. Abstract; the final classes are frozen dataclasses, one file each.

    Attributes:
        name: its name in `OBJECTIVES` and in results.
        loss_title: the loss in words.
        metrics: what is measured beside the loss; the first one selects the best epoch on validation data.
        read_from: where the network is read: at the last state, or at every state of the trajectory.
    """

    name: ClassVar[str]
    loss_title: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    read_from: ReadFrom

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """Numbers that the network gives for a sample, or for a step of it."""

    @abc.abstractmethod
    def score(
        self, output: Float[Tensor, "*items output"], target: Shaped[Tensor, "*items ..."]
    ) -> dict[str, Float[Tensor, "*items"]]:
        """The "loss" of each item, and what the metrics are made of: an item is a sample, or a step of one.

        `summarise` makes the loss and the metrics of a part of the data from the means of these over its items.
        """

    def summarise(self, means: Mapping[str, float]) -> dict[str, float]:
        """The loss and the metrics of a part, from the mean of each score over its items; as a rule they are these."""
        return dict(means)

    @classmethod
    def selector(cls) -> Metric:
        """The metric that chooses the best epoch on validation data."""
        return cls.metrics[0]

    @classmethod
    def merit(cls, means: Mapping[str, float]) -> tuple[float, float]:
        """What is compared to choose the best epoch: the first metric, and of equal ones the loss."""
        selector = cls.selector()
        return selector.merit(means[selector.name]), -means["loss"]
