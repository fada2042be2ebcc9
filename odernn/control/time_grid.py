"""The times of a sequence: the start and the length of every interval from sample to sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from jaxtyping import Float, Int
from torch import Tensor

from solvers.checks import check_entries, check_positive, check_tensor, entry, is_readable
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
    check_entries(
        dt.isfinite() & (dt > 0),
        "every step `dt` is finite and above zero",
        lambda at: f"`dt` has the entry {entry(dt, at)} at {at}; every step is finite and above zero",
    )


def check_step_shape(dt: Tensor, length: int, batch: int) -> None:
    """A tensor `dt` has the shape (), (time,) or (batch, time).

    Raises:
        ValueError: it has another one.
    """
    if dt.ndim and tuple(dt.shape) not in ((length,), (batch, length)):
        raise ValueError(
            f"`dt` has shape {tuple(dt.shape)} and the input {length} samples in a batch of {batch}; "
            f"give a number, ({length},) or ({batch}, {length})"
        )


def as_number(t: Time) -> Time:
    """A time of shape () that lies on the host as a number, which costs less; any other as it is."""
    if not isinstance(t, Tensor) or t.ndim or t.requires_grad or t.device.type != "cpu" or not is_readable(t):
        return t
    return float(t)


def as_tensor(t: Time) -> Tensor:
    """A number as a tensor of shape () on the host, where nothing has to wait to read it; of float64, rounded once."""
    return t if isinstance(t, Tensor) else torch.tensor(t, dtype=torch.float64, device="cpu")


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """The times of a sequence.

    Attributes:
        start: when it begins.
        dt: the common length of the intervals, or None if they are in `lengths`. The start is a number then, or a
            tensor of shape () that cannot be read now, as while torch.compile traces.
        starts: the start of every interval, (time,) or (time, batch, 1), or None.
        lengths: the length of every interval, shaped as `starts`, or None.
    """

    start: Time
    dt: float | None
    starts: Tensor | None = None
    lengths: Tensor | None = None

    def end(self, length: int) -> Tensor:
        """The time after `length` intervals, all of them; from a number on the host, where nothing waits to read it."""
        if self.starts is not None and self.lengths is not None:
            return self.starts[-1] + self.lengths[-1]
        assert self.dt is not None
        t = self.start + length * self.dt
        return t if isinstance(t, Tensor) else torch.tensor(t, dtype=torch.float64, device="cpu")


def time_grid(dt: Step, start: Time, length: int, y: Float[Tensor, "batch hidden"]) -> TimeGrid:
    """The clock of a sequence of `length` samples from the time `start`, for the state `y`.

    Raises:
        ValueError: the shape of a tensor `dt` is not that of the sequence, or its device is not that of `y`.
    """
    if isinstance(start, Tensor):
        start = as_number(start)
    if not isinstance(dt, Tensor) and not (isinstance(start, Tensor) and (start.ndim or start.requires_grad)):
        return TimeGrid(start, float(dt))
    steps = dt if isinstance(dt, Tensor) else y.new_tensor(dt)
    check_step_shape(steps, length, y.shape[0])
    check_same_device("dt", steps, y)
    lengths = _columns(steps, length)
    if isinstance(start, Tensor) and start.ndim > lengths.ndim - 1:
        lengths = lengths.reshape(length, 1, 1)
    exact = lengths.to(_time_dtype(y))
    return TimeGrid(start, None, start + exact.cumsum(0) - exact, lengths.to(y.dtype))


def grid_of_samples(
    dt: float | Float[Tensor, ""] | Float[Tensor, " samples"], start: Time, count: int, y: Float[Tensor, "batch hidden"]
) -> TimeGrid:
    """The clock of sequences of several lengths of so many samples together; their lengths (1, samples)."""
    if not isinstance(dt, Tensor):
        return TimeGrid(start, float(dt))
    check_same_device("dt", dt, y)
    return TimeGrid(start, None, None, dt.expand(count).to(y.dtype).unsqueeze(0))


def end_of_each(
    dt: float | Float[Tensor, ""] | Float[Tensor, " samples"],
    start: Time,
    lengths: Int[Tensor, " batch"],
    sequences: Callable[[], Int[Tensor, " samples"]],
) -> Float[Tensor, "batch 1"]:
    """The time after the last sample of each sequence; `sequences` makes which of them each sample is of."""
    if not isinstance(dt, Tensor) or not dt.ndim:
        passed = lengths.to(torch.float64) * dt
    else:
        passed = torch.zeros(len(lengths), dtype=torch.float64, device=dt.device).index_add(0, sequences(), dt.double())
    return start + passed.unsqueeze(1)


def check_timestamps(timestamps: object, length: int, y: Float[Tensor, "batch hidden"]) -> None:
    """A floating tensor (time,) or (batch, time) for a sequence of `length` samples, on the device of the state `y`.

    Raises:
        TypeError: not a floating tensor.
        ValueError: another shape or device.
    """
    check_tensor("timestamps", timestamps)
    assert isinstance(timestamps, Tensor)
    if not timestamps.is_floating_point():
        raise TypeError(f"`timestamps` has dtype {timestamps.dtype}; give a floating tensor")
    batch = y.shape[0]
    if tuple(timestamps.shape) not in ((length,), (batch, length)):
        raise ValueError(
            f"`timestamps` has shape {tuple(timestamps.shape)} and the input {length} samples in a batch of {batch}; "
            f"give (time,) or (batch, time): ({length},) or ({batch}, {length})"
        )
    check_same_device("timestamps", timestamps, y)


def steps_between(
    timestamps: Float[Tensor, " time"] | Float[Tensor, "batch time"], start: Time
) -> Float[Tensor, " time"] | Float[Tensor, "batch time"]:
    """The steps from `start` to the first timestamp, and from each to the next.

    Raises:
        ValueError: a timestamp that is not after the one before it.
    """
    first = timestamps[..., :1] - start
    if first.ndim > timestamps.ndim:
        timestamps = timestamps.expand(len(first), -1)
    steps = torch.cat((first, timestamps.diff(dim=-1)), dim=-1)
    rule = "timestamps are finite and increase, the first one from the time of the state"
    check_entries(
        steps.isfinite() & (steps > 0),
        f"`timestamps`: {rule}",
        lambda at: (
            f"`timestamps` at {at} is {entry(timestamps, at)}, {entry(steps, at)} after the time before it; {rule}"
        ),
    )
    return steps


def time_spans(
    times: TimeGrid, starts: Tensor | None, lengths: Tensor | None, first: int, last: int, offset: int
) -> list[TimeSpan]:
    """The intervals from `first` to `last`, made of the clock's tensors, or of others that begin at `offset`."""
    if starts is None or lengths is None:
        assert times.dt is not None
        return [TimeSpan(times.start + n * times.dt, times.dt) for n in range(first, last)]
    pairs = zip(
        starts[first - offset : last - offset].unbind(0), lengths[first - offset : last - offset].unbind(0), strict=True
    )
    return [TimeSpan(t, dt) for t, dt in pairs]


def check_same_device(name: str, value: Tensor, y: Tensor) -> None:
    """`value` lies where the state lies.

    Raises:
        ValueError: it does not.
    """
    if value.device != y.device:
        raise ValueError(
            f"`{name}` is on {value.device} and the state on {y.device}; move it with `{name}.to({str(y.device)!r})`"
        )


def _columns(dt: Tensor, length: int) -> Float[Tensor, " time"] | Float[Tensor, "time batch 1"]:
    """One step an interval along the first dimension."""
    if dt.ndim == 2:
        return dt.T.unsqueeze(-1)
    return dt.expand(length)


def _time_dtype(y: Tensor) -> torch.dtype:
    """float64, but on Apple's GPUs, which have none."""
    return torch.float32 if y.device.type == "mps" else torch.float64
