"""Sequences with resets where torch traces: what lies between two resets is a row of an operator's call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from solvers.checks import check_entries

from ..engines.problem import Storage
from .ragged import Steps
from .rows import Rows
from .state import RecurrentState
from .stored_run import StoredRun


@final
@dataclass(frozen=True)
class Stretches:
    """The stretches of a batch, as tensors whose shapes do not depend on where they begin.

    There are as many as samples (time, batch), most of them without a sample; the longest come first. The rest of a
    padded sequence is a stretch too.

    Attributes:
        sequence: of each stretch.
        start: its first sample.
        fresh: whether it begins from zero.
        sample: for each sample that is run, its number in the flat table (time, batch).
        storage: where the samples lie that are run, and the samples of each stretch.
        last: the stretch in which each sequence ends.
    """

    sequence: Int[Tensor, " stretches"]
    start: Int[Tensor, " stretches"]
    fresh: Bool[Tensor, " stretches"]
    sample: Int[Tensor, " samples"]
    storage: Storage
    last: Int[Tensor, " batch"]


def stretches_of(rows: Rows, count: int) -> Stretches:
    """The stretches of sequences with resets.

    Args:
        rows: the sequences, whose lengths are a tensor.
        count: places of the storage.
    """
    time, batch = rows.longest, rows.batch
    numbers = torch.arange(time, device=rows.device).unsqueeze(1)
    table = torch.arange(time * batch, device=rows.device)
    fresh = _fresh(rows, numbers)
    start, samples = _starts(rows, numbers, fresh)
    samples, order = samples.flatten().sort(descending=True, stable=True)
    rank = torch.zeros_like(order).scatter(0, order, table)
    stretch = rank[start * batch + table[:batch]]
    at = _before(samples, time)[numbers - start] + stretch
    at = at if rows.padded else at.masked_fill(~rows.inside(), count)
    sample = table.new_zeros(count + 1).scatter(0, at.flatten(), table)[:count]
    place = rows.place(numbers, table[:batch]).expand(time, batch).flatten()
    storage = Storage(place[sample], samples, stretch.flatten()[sample])
    ends = (_lengths(rows) - 1).clamp(min=0).unsqueeze(0)
    return Stretches(order % batch, order // batch, fresh.flatten()[order], sample, storage, stretch.gather(0, ends)[0])


def _lengths(rows: Rows) -> Int[Tensor, " batch"]:
    return torch.as_tensor(rows.lengths, device=rows.device)


def _fresh(rows: Rows, numbers: Int[Tensor, "time 1"]) -> Bool[Tensor, "time batch"]:
    """Before which samples the state is set back: at resets, and where padding begins."""
    resets = torch.zeros_like(rows.inside()) if rows.resets is None else rows.resets
    return resets | (numbers == _lengths(rows)) if rows.padded else resets


def _starts(
    rows: Rows, numbers: Int[Tensor, "time 1"], fresh: Bool[Tensor, "time batch"]
) -> tuple[Int[Tensor, "time batch"], Int[Tensor, "time batch"]]:
    """Where the stretch of each sample begins; and, where one begins, how many samples it has, and zero elsewhere."""
    begins = fresh | (numbers == 0)
    ends = torch.full_like(_lengths(rows), rows.longest)
    if not rows.padded:
        begins, ends = begins & rows.inside(), _lengths(rows)
    nexts = torch.where(begins, numbers, rows.longest)
    after = torch.where(numbers == rows.longest - 1, ends, nexts.roll(-1, 0))
    after = torch.minimum(after.flip(0).cummin(0).values.flip(0), ends)
    return numbers.masked_fill(~begins, 0).cummax(0).values, torch.where(begins, after - numbers, 0)


def _before(samples: Int[Tensor, " stretches"], time: int) -> Int[Tensor, " time"]:
    """How many samples come before the n-th ones of all stretches, where all n-th ones lie together."""
    having = samples.new_zeros(time + 1).scatter_add(0, samples, torch.ones_like(samples))
    having = having.flip(0).cumsum(0).flip(0)[1:]
    return having.cumsum(0) - having


def run_stretches(run: StoredRun) -> tuple[Float[Tensor, "places hidden"] | None, RecurrentState] | None:
    """Run sequences with resets, whose lengths are a tensor, in one call of an operator.

    Returns:
        The output in the storage, zero in the padding, or None, and the whole state at the end of each sequence. None
        where the call has no operator that takes it.
    """
    layer, data, rows, steps, state = run.layer, run.data, run.rows, run.steps, run.state
    if not layer.may_run_together or not layer.stands_still or state.carry:
        return None
    found = stretches_of(rows, data.shape[0])
    inside = rows.inside().flatten()[found.sample]
    padding = torch.ones_like(inside).scatter(0, found.storage.index, ~inside).unsqueeze(1)
    step = steps.step
    if isinstance(step, Tensor) and step.ndim:
        step = step.flatten()[found.sample]
    if rows.padded:
        step = torch.where(inside, step, data.new_zeros(()))
    together = layer.advance_together(
        *(data.masked_fill(padding, 0), found.storage, _start(state, steps, found), step, run.save),
        prepared=layer.prepared(state.y),
    )
    if together is None:
        return None
    output, ends = together
    end = _end(ends.rows(found.last), state, _lengths(rows))
    if layer.on_divergence == "raise":
        rule = "the state stopped being finite"
        check_entries(end.y.isfinite(), rule, lambda at: rule)
    return output, end  # zero in the padding, where a stretch stands still from zero


def _start(state: RecurrentState, steps: Steps, found: Stretches) -> RecurrentState:
    """The state before each stretch."""
    fresh = found.fresh.unsqueeze(1)
    late = steps.fresh
    if isinstance(late, Tensor):
        late = late[found.start, found.sequence].unsqueeze(1)
    times = torch.as_tensor(state.t, dtype=torch.float64, device=fresh.device)
    times = times[found.sequence] if times.ndim else times.expand(fresh.shape)
    return RecurrentState(state.y[found.sequence].masked_fill(fresh, 0), torch.where(fresh, late, times))


def _end(end: RecurrentState, start: RecurrentState, lengths: Int[Tensor, " batch"]) -> RecurrentState:
    """The state at the end of each sequence; of one without a sample that before it."""
    some = (lengths > 0).unsqueeze(1)
    return RecurrentState(torch.where(some, end.y, start.y), torch.where(some, end.t, start.t), solver=end.solver)
