"""The times of a sequence: the start and the length of every interval from sample to sample."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from solvers import Time, check_positive

Step = float | Float[Tensor, ""] | Float[Tensor, " time"] | Float[Tensor, "batch time"]
"""The time from one sample to the next: a number, or a tensor of shape (), (time,) or (batch, time)."""


@dataclass(frozen=True, slots=True)
class Tick:
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


def ticks(dt: Step, start: Time, length: int, y: Float[Tensor, "batch hidden"]) -> list[Tick]:
    """The `length` intervals of a sequence from the time `start`, for the state `y`.

    Raises:
        ValueError: the shape of a tensor `dt` is not that of the sequence, or its device is not that of `y`.
    """
    if not isinstance(dt, Tensor):
        return [Tick(start + n * float(dt), float(dt)) for n in range(length)]
    _check_shape(dt, length, len(y))
    if dt.device != y.device:
        raise ValueError(f"`dt` is on {dt.device} and the state on {y.device}; move it with `dt.to({str(y.device)!r})`")
    steps = _columns(dt, length)
    lengths = torch.stack(steps).to(_time_dtype(y))
    starts = start + lengths.cumsum(0) - lengths
    return [Tick(t, step.to(y.dtype)) for t, step in zip(starts.unbind(0), steps, strict=True)]


def _columns(dt: Tensor, length: int) -> tuple[Tensor, ...]:
    """One step an interval, of shape () or (batch, 1)."""
    if dt.ndim == 0:
        return (dt,) * length
    return dt.unbind(0) if dt.ndim == 1 else dt.unsqueeze(-1).unbind(1)


def _check_shape(dt: Tensor, length: int, batch: int) -> None:
    if dt.ndim and tuple(dt.shape) not in ((length,), (batch, length)):
        raise ValueError(
            f"`dt` has shape {tuple(dt.shape)} and the input {length} samples in a batch of {batch}; "
            f"give a number, ({length},) or ({batch}, {length})"
        )


def _time_dtype(y: Tensor) -> torch.dtype:
    """float64, but on Apple's GPUs, which have none."""
    return torch.float32 if y.device.type == "mps" else torch.float64
