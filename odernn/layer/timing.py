"""The steps of a call: from the layer's own step, from another one, or from timestamps, for any layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from solvers.checks import check_entries, entry
from solvers.extend import OnDivergence

from ..control.time_grid import (
    Step,
    check_same_device,
    check_step,
    check_step_shape,
    check_timestamps,
    steps_between,
)
from .ragged import Steps
from .rows import Rows
from .state import RecurrentState


@final
@dataclass(frozen=True)
class Timing:
    """What a call says of its steps; at most one of the two is given.

    Attributes:
        dt: another step than the layer's, or None.
        timestamps: the times of the samples, (time,) or (batch, time), or None.
    """

    dt: Step | None = None
    timestamps: Tensor | None = None

    def backward(self) -> Timing:
        """For the samples from the last to the first: each keeps its own step, and time runs from its end."""
        dt = self.dt.flip(-1) if isinstance(self.dt, Tensor) and self.dt.ndim else self.dt
        return Timing(dt, None if self.timestamps is None else -self.timestamps.flip(-1))


def steps(
    own: Step, timing: Timing, time: int, state: RecurrentState, continues: bool, on_divergence: OnDivergence
) -> tuple[RecurrentState, Step]:
    """The state with its time, and the steps (), (time,) or (batch, time), of sequences of one length.

    Args:
        own: the layer's step.
        timing: what the call says.
        time: samples.
        state: before them.
        continues: whether the state's time is that of a call before.
        on_divergence: the layer's policy; where it is "ignore" the layer's own step is not read back.

    Raises:
        TypeError, ValueError: steps or timestamps of another kind or shape, or that do not increase.
    """
    if timing.timestamps is None:
        step = own if timing.dt is None else timing.dt
        if timing.dt is not None or (isinstance(own, nn.Parameter) and on_divergence != "ignore"):
            check_step(step)
        if isinstance(step, Tensor):
            check_step_shape(step, time, state.y.shape[0])
        return state, step
    check_timestamps(timing.timestamps, time, state.y)
    if not continues:
        state = replace(state, t=timing.timestamps[..., :1] - _single(own))
    return state, steps_between(timing.timestamps, state.t)


def ragged_steps(
    own: Step, timing: Timing, rows: Rows, time: int, state: RecurrentState, continues: bool, backward: bool
) -> tuple[RecurrentState, Steps]:
    """The same for sequences of several lengths, by their samples; steps beyond the end of a sequence do not count.

    Raises:
        TypeError, ValueError: as `steps`.
    """
    if timing.timestamps is not None:
        check_timestamps(timing.timestamps, time, state.y)
        times = _by_samples(timing.timestamps, rows)
        return _between(own, -times if backward else times, rows, state, continues)
    step = own if timing.dt is None else timing.dt
    if isinstance(step, Tensor) and step.ndim:
        check_step_shape(step, time, rows.batch)
        check_same_device("dt", step, state.y)
        step = _by_samples(step, rows)
    if timing.dt is not None or isinstance(own, Tensor):
        check_step(step)
    return state, Steps(step)


def _between(
    own: Step, times: Float[Tensor, "time batch"], rows: Rows, state: RecurrentState, continues: bool
) -> tuple[RecurrentState, Steps]:
    """The steps from sample to sample, and the layer's own before each sample that starts afresh."""
    starts = torch.as_tensor(state.t, dtype=times.dtype, device=times.device) if continues else times[0] - _single(own)
    starts = starts.flatten().expand(rows.batch)
    step = torch.cat((times[:1] - starts, times.diff(dim=0)))
    fresh = 0.0
    if rows.resets is not None:
        fresh = times - _single(own)
        step = torch.where(rows.resets, times - fresh, step)
    inside = rows.inside()
    rule = "timestamps are finite and increase, the first one from the time of the state"
    check_entries(
        (step.isfinite() & (step > 0)) | ~inside,
        f"`timestamps`: {rule}",
        lambda at: f"the step before sample {at[0]} of sequence {at[1]} is {entry(step, at)} by `timestamps`; {rule}",
    )
    step = torch.where(inside, step, step.new_ones(()))
    return replace(state, t=starts.unsqueeze(1)), Steps(step, fresh)


def _by_samples(given: Float[Tensor, " time"] | Float[Tensor, "batch time"], rows: Rows) -> Float[Tensor, "time batch"]:
    return given[rows.times] if given.ndim == 1 else given.T.gather(0, rows.times)


def _single(own: Step) -> Step:
    """The layer's own step, for the time before the first sample.

    Raises:
        ValueError: it differs from sample to sample.
    """
    if isinstance(own, Tensor) and own.ndim:
        raise ValueError(
            "`timestamps` without a RecurrentState leaves the time before the first sample to the layer's `dt`, which "
            f"is a tensor of shape {tuple(own.shape)}; make the layer with a number"
        )
    return own
