"""Sequences as a layer is given them, padded, masked, packed or nested, and how they are run and given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from solvers.extend import Save

from .integrator import Integrator
from .padded import truncated
from .ragged import Ragged
from .rectangle import goes_as_rectangle, run_rectangle
from .rows import Rows
from .state import RecurrentState
from .stored_run import StoredRun
from .timing import Timing, ragged_steps, steps
from .traced import run_traced

Input = Tensor | PackedSequence
"""What a layer takes and gives: a dense or nested tensor, or a PackedSequence."""


@dataclass(frozen=True)
class Options:
    """What a call asks for.

    Attributes:
        timing: the steps of the call.
        save: "trajectory" or "end".
        truncate: samples between two places where gradients stop, or None.
        continues: whether the state is the RecurrentState of a call before, which is asked for again.
    """

    timing: Timing
    save: Save
    truncate: int | None
    continues: bool


@final
@dataclass(frozen=True)
class Sequences:
    """A batch of sequences.

    Attributes:
        samples: (time, batch, features), or, with `rows`, a storage (places, features).
        time: samples of the longest sequence, those that are left out among them.
        batch: sequences.
        batched: whether the input had a dimension for them.
        give: from an output in the layout of `samples` to one in that of the input.
        rows: where the sequences lie in the storage, or None where all fill (time, batch).
        mask: which samples count, of masked sequences (time, batch); the output holds at the others.
    """

    samples: Tensor
    time: int
    batch: int
    batched: bool
    give: Callable[[Tensor], Input]
    rows: Rows | None = None
    mask: Bool[Tensor, "time batch"] | None = None

    def run(
        self, layer: Integrator, samples: Tensor, state: RecurrentState, options: Options, *, backward: bool = False
    ) -> tuple[Tensor | None, RecurrentState]:
        """Run a layer over samples in the layout of these.

        Args:
            layer: what runs them.
            samples: these, or what a layer before made of them.
            state: at the start of every sequence.
            options: of the call.
            backward: whether from the end of every sequence.

        Returns:
            The output in the layout of the samples, or None, and the state at the end of every sequence.
        """
        if self.rows is not None:
            return self._run_rows(layer, samples, state, options, self.rows, backward=backward)
        own, timing = layer.dt, options.timing
        if backward:  # from the last sample to the first; the output has the order of the samples
            own = own.flip(-1) if isinstance(own, Tensor) and own.ndim else own
            samples, timing = samples.flip(0), timing.backward()
        state, step = steps(own, timing, self.time, state, options.continues, layer.on_divergence)
        if options.truncate is None:
            output, state = layer.advance(samples, state, step, options.save, layer.on_divergence)
        else:
            output, state = truncated(layer, samples, state, step, options.save, layer.on_divergence, options.truncate)
        return output if output is None or not backward else output.flip(0), state

    def _run_rows(
        self,
        layer: Integrator,
        samples: Tensor,
        state: RecurrentState,
        options: Options,
        rows: Rows,
        *,
        backward: bool,
    ) -> tuple[Tensor | None, RecurrentState]:
        """The same over a storage."""
        rows = rows.backward() if backward else rows
        start, found = ragged_steps(layer.dt, options.timing, rows, self.time, state, options.continues, backward)
        asked = StoredRun(layer, samples, rows, found, start, options.save, options.truncate)
        if isinstance(rows.lengths, Tensor):
            output, state = run_traced(asked, continues=options.continues)
            return None if output is None else self._held(output, start.y, backward=backward), state
        if not options.continues and goes_as_rectangle(asked):
            output, state = run_rectangle(asked)
            return None if output is None else self._held(output, start.y, backward=backward), state
        ragged = Ragged(
            *(samples, rows, found),
            whole=options.continues,
            save=options.save,
            truncate=options.truncate,
            still=layer.stands_still,
            caches=layer.solver.caches,
        )
        prepared = layer.prepared(start.y)
        run = ragged.run(
            partial(layer.advance, prepared=prepared),
            partial(layer.advance_together, prepared=prepared) if layer.may_run_together else None,
            start,
            layer.on_divergence,
        )
        if options.save == "end":
            return None, run.state
        return self._held(run.storage(len(samples)), state.y, backward=backward), run.state

    def _held(self, storage: Tensor, y0: Tensor, *, backward: bool) -> Tensor:
        """The output with that of the sample before at the places that are left out; before the first sample y0."""
        if self.mask is None:
            return storage
        time, batch = self.mask.shape
        numbers = torch.arange(time, device=y0.device).unsqueeze(1).expand(time, batch)
        mask = self.mask
        if backward:
            last = time - 1 - numbers.masked_fill(~mask.flip(0), -1).cummax(0).values.flip(0)
            last = last.masked_fill(last == time, -1)
        else:
            last = numbers.masked_fill(~mask, -1).cummax(0).values
        rows = torch.arange(batch, device=y0.device)
        places = torch.where(last < 0, len(storage) + rows, last * batch + rows)
        return torch.cat((storage, y0)).index_select(0, places.flatten())
