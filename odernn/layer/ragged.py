"""Sequences of several lengths, with resets: run together, or in pieces of time by fewer and fewer rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from solvers.extend import OnDivergence, Save, Time

from ..control.time_grid import Step, as_number
from ..engines.problem import Storage
from .rows import Rows
from .run import Run
from .segments import Piece, Segments, cuts, segments_of
from .state import RecurrentState, joined

Advance = Callable[[Tensor, RecurrentState, Step, Save, OnDivergence], tuple[Tensor | None, RecurrentState]]
"""(samples (time, batch, input), state, step, save, policy) -> the trajectory or None, and the state at the end."""
Together = Callable[[Tensor, Storage, RecurrentState, Step, Save], tuple[Tensor | None, RecurrentState] | None]
"""(storage, where samples lie in it, state, step, save) -> the output in the storage, and the state at each end."""


@dataclass(frozen=True)
class Steps:
    """The steps of a batch of sequences.

    Attributes:
        step: a number, or a tensor of shape () or (time, batch), by the samples of `Rows`.
        fresh: the time at which a sequence starts that starts afresh before a sample, likewise.
    """

    step: Step
    fresh: float | Float[Tensor, "time batch"] = 0.0


@dataclass(frozen=True)
class Ragged:
    """Sequences in a storage, to be run by a layer.

    Attributes:
        data: the storage (places, features).
        rows: where the sequences lie in it.
        steps: the steps from sample to sample.
        whole: whether the whole state at the end is asked for, and not only y.
        save: whether the trajectory is.
        truncate: samples between two places where gradients stop, or None.
        still: whether a step of the length zero leaves the state as it is, and the solver carries nothing. Then, where
            only the end is asked for, a segment that ends within a piece stands still to the end of it.
        caches: whether what the solver carries only saves work; it is not each sequence's own, and is left out.
    """

    data: Float[Tensor, "places features"]
    rows: Rows
    steps: Steps
    whole: bool
    save: Save
    truncate: int | None = None
    still: bool = False
    caches: bool = False

    def run(self, advance: Advance, together: Together | None, state: RecurrentState, policy: OnDivergence) -> Run:
        """Run from a state.

        Where the state stops being finite, that may be in a part that is thrown away: then it is run without such
        parts.

        Args:
            advance: runs a batch of sequences of one length.
            together: runs sequences of several lengths, or does not; it leaves it to `advance` to say what diverged.
                None if nothing does.
            state: before the first samples.
            policy: what to do when the state stops being finite.
        """
        state = replace(state, carry=None) if self.caches else state
        run = None if together is None or self.truncate is not None else self._run_together(together, state)
        if run is not None and (policy == "ignore" or run.is_finite()):
            return run
        if self._carries or policy == "ignore":
            return self._run(advance, state, policy, exactly=self._carries)
        run = self._run(advance, state, "ignore", exactly=False)
        if run.is_finite():
            return run
        return self._run(advance, state, policy, exactly=True)

    @property
    def _carries(self) -> bool:
        """Whether more than y is handed on from segment to segment, for which each must end where its state does."""
        return self.whole or self.truncate is not None

    def _run(self, advance: Advance, state: RecurrentState, policy: OnDivergence, *, exactly: bool) -> Run:
        run, plain = Run(state), self._is_plain(state)
        for number, groups in enumerate(segments_of(self.rows, self.truncate, together=plain and not self.truncate)):
            before = run.state.detach() if number else run.state
            ends = [self._run_group(advance, run, group, before, policy, exactly=exactly) for group in groups]
            run.state = _last_of_each(run.state if self._carries else RecurrentState(run.state.y), groups, ends)
        return run

    def _is_plain(self, state: RecurrentState) -> bool:
        """Whether a state differs from a fresh one in y only."""
        return not state.carry and state.control is None and _is_zero(state.t) and _is_zero(self.steps.fresh)

    def _run_together(self, together: Together, state: RecurrentState) -> Run | None:
        """Run whole segments, each to its own end; or None.

        An engine may take none of a group because its lengths differ too much; then those that are alike go together.
        """
        run = Run(state)
        for groups in segments_of(self.rows, None, together=self._is_plain(state)):
            waiting, done, ends = list(groups), list[Segments](), list[RecurrentState]()
            while waiting:
                group = waiting.pop(0)
                end = self._end_of_group(together, run, group)
                if end is None:
                    alike = group.alike()
                    if len(alike) == 1:
                        return None
                    waiting = alike + waiting
                else:
                    done.append(group)
                    ends.append(end)
            run.state = _last_of_each(run.state if self._carries else RecurrentState(run.state.y), done, ends)
        return run

    def _end_of_group(self, together: Together, run: Run, group: Segments) -> RecurrentState | None:
        """The state at the end of each segment of a group, its output kept; or None if it is not taken."""
        step = self.steps.step
        tables = [step] if isinstance(step, Tensor) and step.ndim else []
        index, steps = group.packed(self.rows.place, tables)
        storage = Storage(index, group.start.new_tensor(group.lengths))
        found = together(self.data, storage, self._start(run.state, group), steps[0] if steps else step, self.save)
        if found is None:
            return None
        output, end = found
        run.storages += [] if output is None else [output]
        run.passed.append(end.y.detach())
        return end if self._carries else RecurrentState(end.y)

    def _run_group(
        self,
        advance: Advance,
        run: Run,
        group: Segments,
        before: RecurrentState,
        policy: OnDivergence,
        *,
        exactly: bool,
    ) -> RecurrentState:
        """Run segments that are independent, from the states before them; those at the end, in their order."""
        state, ends, first = self._start(before, group), [], 0
        for last in cuts(group.lengths, everywhere=exactly):
            piece, first = Piece(group, first, last, len(state.y)), last
            stands = self.still and self.save == "end" and not piece.is_full
            trajectory, state = self._run_piece(advance, run, piece, state, policy, stands=stands)
            if piece.going_on < piece.count:
                end = state if stands or piece.is_full else _within(trajectory, piece)
                end = end.rows(slice(piece.going_on, None))
                ends.append(end if self._carries else RecurrentState(end.y))
                state = state.rows(slice(piece.going_on))
        return joined(ends[::-1])

    def _run_piece(
        self,
        advance: Advance,
        run: Run,
        piece: Piece,
        state: RecurrentState,
        policy: OnDivergence,
        *,
        stands: bool,
    ) -> tuple[Tensor | None, RecurrentState]:
        """Run a piece to its end, and keep its output if it is asked for."""
        at = piece.samples()
        places = self.rows.place(at, piece.row)
        samples = self.data.index_select(0, places.flatten()).unflatten(0, places.shape)
        step = self._step(at, piece.row)
        if stands:
            step = torch.where(piece.inside(), step if not isinstance(step, Tensor) else step.T, _zero(state.y)).T
        save: Save = "end" if self.save == "end" and (stands or piece.is_full) else "trajectory"
        trajectory, after = advance(samples, state, step, save, policy)
        run.passed.append(after.y.detach())
        if self.save == "trajectory":
            self._keep(run, trajectory, places, piece)
        return trajectory, replace(after, carry=None) if self.caches else after

    def _start(self, state: RecurrentState, group: Segments) -> RecurrentState:
        """The state before the first samples of segments."""
        fresh = torch.tensor(group.fresh, device=state.y.device)
        if not any(group.fresh):
            return state.rows(group.row)
        if not all(group.fresh):
            return RecurrentState(state.y[group.row].masked_fill(fresh.unsqueeze(1), 0), state.t)
        t = self.steps.fresh
        if isinstance(t, Tensor):
            t = t[group.start, group.row].unsqueeze(1)
        return RecurrentState(state.y.new_zeros(len(group.row), state.y.shape[-1]), t)

    def _step(self, at: Int[Tensor, "time parts"], row: Int[Tensor, " parts"]) -> Step:
        step = self.steps.step
        return step[at, row].T if isinstance(step, Tensor) and step.ndim else step

    def _keep(self, run: Run, trajectory: Tensor | None, places: Tensor, piece: Piece) -> None:
        """Keep a piece of the output; what lies beyond the end of a segment belongs to the place beyond the last."""
        assert trajectory is not None
        if not piece.is_full:
            places = places.masked_fill(~piece.inside(), len(self.data))
        run.places.append(places.flatten())
        run.outputs.append(trajectory.flatten(0, 1))


def _zero(like: Tensor) -> Tensor:
    return torch.zeros((), dtype=like.dtype, device=like.device)


def _within(trajectory: Tensor | None, piece: Piece) -> RecurrentState:
    """The states at the ends of segments that end within a piece; of the others something."""
    assert trajectory is not None
    lengths = torch.tensor(piece.lengths, device=trajectory.device).clamp_(max=piece.time)
    at = (lengths - 1) * piece.count + torch.arange(piece.count, device=trajectory.device)
    return RecurrentState(trajectory.flatten(0, 1).index_select(0, at))


def _last_of_each(state: RecurrentState, groups: Sequence[Segments], ends: Sequence[RecurrentState]) -> RecurrentState:
    """The state of every sequence after its last segment, or its own if it has none."""
    found: dict[int, tuple[int, int]] = {}
    offset = 0
    for group in groups:
        for i, (row, start) in enumerate(group.parts):
            found[row] = max(found.get(row, (-1, 0)), (start, offset + i))
        offset += len(group.lengths)
    rows = range(len(state.y))
    states = list(ends) if len(found) == len(rows) else [*ends, state]
    index = [found[row][1] if row in found else offset + row for row in rows]
    return joined(states).rows(torch.tensor(index, device=state.y.device)) if states else state


def _is_zero(t: Time) -> bool:
    t = as_number(t)
    return not isinstance(t, Tensor) and t == 0
