"""The times of a sequence: the start and the length of every interval from sample to sample."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.checks import check_positive, check_tensor
from solvers.extend import Time

Step = float | Float[Tensor, ""] | Float[Tensor, " time"] | Float[Tensor, "batch time"]
"""The time from one sample to the next: a number, or a tensor of shape (), (time,) or (batch, time)."""


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """One interval: its start `t` and its length `dt`, numbers or tensors of shape () or (batch, 1).

    A tensor `t` is float64 where the device has that type, so that late times keep their digits; `dt` has the state's.
    """

    t: Time
    dt: Time


def check_step(dt: object) -> None:
    """A positive finite number, or a floating tensor of at most two dimensions with positive finite entries.

    Raises:
        TypeError: neither a number nor a tensor, or a tensor that is not floating.
        ValueError: an entry that is zero, negative or not finite, or a tensor of more than two dimensions.
    """
    if not isinstance(dt, Tensor):
        if not isinstance(dt, Real):
            raise TypeError(
                f"`dt` is {dt!r} ({type(dt).__name__}); give the time from one sample to the next, "
                "a number or a floating tensor"
            )
        check_positive("dt", dt)
        return
    if not dt.is_floating_point():
        raise TypeError(f"`dt` has dtype {dt.dtype}; give a floating tensor or a number")
    if dt.ndim > 2:
        raise ValueError(f"`dt` has shape {tuple(dt.shape)}; give a number, (time,) or (batch, time)")
    if torch.compiler.is_compiling() or dt.is_meta:
        return
    wrong = ~(torch.isfinite(dt) & (dt > 0))
    if bool(wrong.any()):
        index = tuple(int(i) for i in wrong.nonzero()[0])
        raise ValueError(f"`dt` has the entry {float(dt[index])} at {index}; every step is finite and above zero")


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """The times of a sequence.

    Attributes:
        start: when it begins.
        dt: the common length of the intervals, or None if they are in `lengths`.
        starts: the start of every interval, (time,) or (time, batch, 1), or None.
        lengths: the length of every interval, shaped as `starts`, or None.
    """

    start: Time
    dt: float | None
    starts: Tensor | None = None
    lengths: Tensor | None = None

    def end(self, length: int) -> Time:
        """The time after `length` intervals, all of them."""
        if self.starts is None or self.lengths is None:
            assert self.dt is not None
            return self.start + length * self.dt
        return self.starts[-1] + self.lengths[-1]


def time_grid(dt: Step, start: Time, length: int, y: Float[Tensor, "batch hidden"]) -> TimeGrid:
    """The clock of a sequence of `length` samples from the time `start`, for the state `y`.

    Raises:
        ValueError: the shape of a tensor `dt` is not that of the sequence, or its device is not that of `y`.
    """
    if not isinstance(dt, Tensor) and not isinstance(start, Tensor):
        return TimeGrid(start, float(dt))
    steps = torch.as_tensor(dt, dtype=None if isinstance(dt, Tensor) else y.dtype)
    if not isinstance(dt, Tensor):
        steps = steps.to(y.device)
    _check_shape(steps, length, len(y))
    if steps.device != y.device:
        raise ValueError(
            f"`dt` is on {steps.device} and the state on {y.device}; move it with `dt.to({str(y.device)!r})`"
        )
    lengths = _columns(steps, length)
    if isinstance(start, Tensor) and start.ndim > lengths.ndim - 1:
        lengths = lengths.reshape(length, 1, 1)
    exact = lengths.to(_time_dtype(y))
    return TimeGrid(start, None, start + exact.cumsum(0) - exact, lengths.to(y.dtype))


def steps_between(
    timestamps: Float[Tensor, " time"] | Float[Tensor, "batch time"], start: Time
) -> Float[Tensor, " time"] | Float[Tensor, "batch time"]:
    """The steps from `start` to the first timestamp, and from each to the next.

    Raises:
        TypeError: no floating tensor.
        ValueError: not one or two dimensions, or a timestamp that is not after the one before it.
    """
    check_tensor("timestamps", timestamps)
    if not timestamps.is_floating_point():
        raise TypeError(f"`timestamps` has dtype {timestamps.dtype}; give a floating tensor")
    if timestamps.ndim not in (1, 2) or timestamps.numel() == 0:
        raise ValueError(f"`timestamps` has shape {tuple(timestamps.shape)}; give (time,) or (batch, time)")
    first = timestamps[..., :1] - start
    if first.ndim > timestamps.ndim:
        timestamps = timestamps.expand(len(first), -1)
    steps = torch.cat((first, timestamps.diff(dim=-1)), dim=-1)
    if torch.compiler.is_compiling() or steps.is_meta:
        return steps
    wrong = ~(torch.isfinite(steps) & (steps > 0))
    if bool(wrong.any()):
        index = tuple(int(i) for i in wrong.nonzero()[0])
        raise ValueError(
            f"`timestamps` at {index} is {float(timestamps[index])}, {float(steps[index])} after the time before it; "
            "timestamps are finite and increase, the first one from the time of the state"
        )
    return steps


def time_spans(
    times: TimeGrid, starts: Tensor | None, lengths: Tensor | None, first: int, last: int, offset: int
) -> list[TimeSpan]:
    """The intervals from `first` to `last`, made of the clock's tensors, or of others that begin at `offset`."""
    if starts is None or lengths is None:
        assert times.dt is not None
        assert not isinstance(times.start, Tensor)
        return [TimeSpan(times.start + n * times.dt, times.dt) for n in range(first, last)]
    pairs = zip(
        starts[first - offset : last - offset].unbind(0), lengths[first - offset : last - offset].unbind(0), strict=True
    )
    return [TimeSpan(t, dt) for t, dt in pairs]


def _columns(dt: Tensor, length: int) -> Float[Tensor, " time"] | Float[Tensor, "time batch 1"]:
    """One step an interval along the first dimension."""
    if dt.ndim == 2:
        return dt.T.unsqueeze(-1)
    return dt.expand(length)


def _check_shape(dt: Tensor, length: int, batch: int) -> None:
    if dt.ndim and tuple(dt.shape) not in ((length,), (batch, length)):
        raise ValueError(
            f"`dt` has shape {tuple(dt.shape)} and the input {length} samples in a batch of {batch}; "
            f"give a number, ({length},) or ({batch}, {length})"
        )


def _time_dtype(y: Tensor) -> torch.dtype:
    """float64, but on Apple's GPUs, which have none."""
    return torch.float32 if y.device.type == "mps" else torch.float64
