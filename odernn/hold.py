"""Samples -> the control between samples: what the stages of a step see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import Time

from .clock import Tick

Control = Callable[[Time], Tensor]
"""The control (batch, control) at a time within one interval."""


@dataclass(frozen=True)
class Hold(ABC):
    """How the control runs within an interval. Sample n belongs to the interval that ends at output n."""

    @abstractmethod
    def controls(
        self,
        u: Float[Tensor, "time batch control"],
        ticks: Sequence[Tick],
        before: Float[Tensor, "batch control"] | None,
    ) -> list[Control]:
        """The control as a function of time, one for each interval.

        Args:
            u: the control at the samples.
            ticks: the start and length of each interval.
            before: the control of the sample before the first, or None at the start of a sequence.
        """


@final
@dataclass(frozen=True)
class ZeroOrderHold(Hold):
    """The control of an interval is its sample's, throughout: causal, the paper's. It jumps at the samples."""

    def controls(
        self,
        u: Float[Tensor, "time batch control"],
        ticks: Sequence[Tick],
        before: Float[Tensor, "batch control"] | None,
    ) -> list[Control]:
        """Constant functions."""
        return [_constant(u_n) for u_n in u.unbind(0)]


@final
@dataclass(frozen=True)
class LinearHold(Hold):
    """The control runs in a straight line from the sample before to the interval's own: causal and continuous.

    In the first interval of a sequence, which has no sample before it, it is constant.
    """

    def controls(
        self,
        u: Float[Tensor, "time batch control"],
        ticks: Sequence[Tick],
        before: Float[Tensor, "batch control"] | None,
    ) -> list[Control]:
        """Linear functions; each reaches its own sample at the end of its interval."""
        samples = u.unbind(0)
        earlier = (samples[0] if before is None else before, *samples[:-1])
        return [_line(start, end, tick) for start, end, tick in zip(earlier, samples, ticks, strict=True)]


def _constant(u: Tensor) -> Control:
    return lambda t: u


def _line(start: Tensor, end: Tensor, tick: Tick) -> Control:
    def control(t: Time) -> Tensor:
        fraction = (t - tick.t) / tick.dt
        if isinstance(fraction, Tensor):
            fraction = fraction.to(end.dtype)
        return torch.lerp(start, end, fraction)

    return control


HOLDS: Mapping[str, Hold] = MappingProxyType({"zero-order": ZeroOrderHold(), "linear": LinearHold()})


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
    if hold not in HOLDS:
        raise ValueError(f"`hold` is {hold!r}; choose one of {', '.join(map(repr, HOLDS))}")
    return HOLDS[hold]
