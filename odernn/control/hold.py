"""Samples -> the control between samples: what the stages of a step see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.checks import check_choice
from solvers.extend import Time

from .time_grid import TimeSpan

Control = Callable[[Time], Tensor]
"""The control (batch, control) at a time within one interval."""


@dataclass(frozen=True)
class Hold(ABC):
    """How the control runs within an interval. Sample n belongs to the interval that ends at output n.

    Attributes:
        jumps: whether the control ignores the sample before, and so jumps at the samples.
    """

    jumps: ClassVar[bool]

    @abstractmethod
    def between(
        self, before: Float[Tensor, "*batch control"], sample: Float[Tensor, "*batch control"], fraction: float | Tensor
    ) -> Float[Tensor, "*batch control"]:
        """The control at a fraction of the interval, from 0 at its start to 1 at its end.

        Args:
            before: the control of the sample before.
            sample: the control of the interval's own sample.
            fraction: a number, or a tensor that broadcasts against the controls.
        """


@final
@dataclass(frozen=True)
class ZeroOrderHold(Hold):
    """The control of an interval is its sample's, throughout: causal, the paper's. It jumps at the samples."""

    jumps = True

    def between(
        self, before: Float[Tensor, "*batch control"], sample: Float[Tensor, "*batch control"], fraction: float | Tensor
    ) -> Float[Tensor, "*batch control"]:
        """The sample's own control."""
        return sample


@final
@dataclass(frozen=True)
class LinearHold(Hold):
    """The control runs in a straight line from the sample before to the interval's own: causal and continuous.

    In the first interval of a sequence, which has no sample before it, it is constant.
    """

    jumps = False

    def between(
        self, before: Float[Tensor, "*batch control"], sample: Float[Tensor, "*batch control"], fraction: float | Tensor
    ) -> Float[Tensor, "*batch control"]:
        """The point on the line."""
        return torch.lerp(before, sample, fraction)


def controls(
    hold: Hold,
    u: Float[Tensor, "time batch control"],
    before: Float[Tensor, "batch control"] | None,
    time_spans: Sequence[TimeSpan],
) -> list[Control]:
    """The control as a function of time, one for each interval.

    Args:
        hold: how the control runs.
        u: the control at the samples.
        before: the control of the sample before the first, or None at the start of a sequence.
        time_spans: the start and length of each interval.
    """
    samples = u.unbind(0)
    earlier = (samples[0] if before is None else before, *samples[:-1])
    return [control_of(hold, start, end, span) for start, end, span in zip(earlier, samples, time_spans, strict=True)]


def control_of(
    hold: Hold, before: Float[Tensor, "batch control"], sample: Float[Tensor, "batch control"], span: TimeSpan
) -> Control:
    """The control as a function of time in one interval, from the samples at its two ends."""
    return _constant(hold.between(sample, sample, 1.0)) if hold.jumps else _moving(hold, before, sample, span)


def _constant(u: Tensor) -> Control:
    return lambda t: u


def _moving(hold: Hold, before: Tensor, sample: Tensor, span: TimeSpan) -> Control:
    def control(t: Time) -> Tensor:
        fraction = (t - span.t) / span.dt
        return hold.between(before, sample, fraction.to(sample.dtype) if isinstance(fraction, Tensor) else fraction)

    return control


HOLDS: Mapping[str, Hold] = MappingProxyType({"zero-order": ZeroOrderHold(), "linear": LinearHold()})
"""The holds by name."""


def as_hold(hold: Hold | str) -> Hold:
    """The hold itself, or the one registered under its name.

    Raises:
        TypeError: neither a hold nor a name.
        ValueError: an unknown name; the message lists the registry.
    """
    if isinstance(hold, Hold):
        return hold
    if not isinstance(hold, str):
        raise TypeError(f"`hold` is {type(hold).__name__}; give a Hold or one of the names {', '.join(HOLDS)}")
    check_choice("hold", hold, HOLDS)
    return HOLDS[hold]


torch.serialization.add_safe_globals([ZeroOrderHold, LinearHold])  # values without code: a checkpoint's hyperparameters
