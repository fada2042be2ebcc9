"""Sequences of several lengths where torch traces: run to the end of the longest, what lies beyond an end left out."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.checks import check_entries
from solvers.extend import OnDivergence, Save

from ..control.time_grid import Step
from .integrator import Integrator
from .rows import Rows
from .state import RecurrentState


@final
@dataclass(frozen=True)
class Padded:
    """Sequences in a storage whose lengths cannot be read, as while torch.compile or torch.export traces.

    The shapes of the program that is traced do not depend on the lengths, and so it serves for any. Beyond its end a
    sequence sees its last sample again. An explicit one-step method stands still there; another goes on, and what it
    finds is thrown away.

    Attributes:
        data: the storage (places, features).
        rows: where the sequences lie in it, without resets.
        step: the steps, a number, or a tensor of shape () or (time, batch) by the samples of `rows`.
        save: "trajectory" or "end".
        truncate: samples between two places where gradients stop, or None.
    """

    data: Float[Tensor, "places features"]
    rows: Rows
    step: Step
    save: Save
    truncate: int | None

    def run(
        self, layer: Integrator, state: RecurrentState
    ) -> tuple[Float[Tensor, "places hidden"] | None, RecurrentState]:
        """The output in the storage, zero at the places of no sample, or None; and the state at each end."""
        inside = self.rows.inside()
        step = self.step
        if layer.stands_still:
            step = torch.where(inside, step, self.data.new_zeros(()))
        step = step.T if isinstance(step, Tensor) and step.ndim else step
        places = self.rows.places
        output, _ = advanced(layer, self.data[places], state, step, "trajectory", "ignore", self.truncate)
        assert output is not None
        end = self._end(output, state.y)
        if layer.on_divergence == "raise":
            rule = "the state stopped being finite"
            check_entries(end.isfinite(), rule, lambda at: rule)
        if self.save == "end":
            return None, RecurrentState(end)
        return self._stored(output, places.masked_fill(~inside, self.data.shape[0])), RecurrentState(end)

    def _end(self, output: Tensor, y0: Tensor) -> Float[Tensor, "batch hidden"]:
        """The state after the last sample of each sequence; `y0` of one that has none."""
        lengths = torch.as_tensor(self.rows.lengths, device=output.device)
        last = output[(lengths - 1).clamp(min=0), torch.arange(y0.shape[0], device=output.device)]
        return torch.where((lengths > 0).unsqueeze(1), last, y0)

    def _stored(self, output: Tensor, places: Tensor) -> Float[Tensor, "places hidden"]:
        """The output at its places; what lies beyond an end has one more place, which is dropped."""
        size = self.data.shape[0]
        storage = output.new_zeros(size + 1, output.shape[-1])
        return storage.index_put((places.flatten(),), output.flatten(0, 1))[:size]


def advanced(
    layer: Integrator,
    samples: Float[Tensor, "time batch input"],
    state: RecurrentState,
    step: Step,
    save: Save,
    on_divergence: OnDivergence,
    truncate: int | None,
) -> tuple[Tensor | None, RecurrentState]:
    """`Integrator.advance`, with gradients stopped after every `truncate` samples, or nowhere for None.

    Where only the end is asked for, nothing but the last of these chunks has a gradient, and nothing is kept of others.
    """
    if truncate is None:
        return layer.advance(samples, state, step, save, on_divergence)
    prepared, time = layer.prepared(), samples.shape[0]
    parts: list[Tensor] = []
    for first in range(0, time, truncate):
        some = slice(first, first + truncate)
        step_now = step[..., some] if isinstance(step, Tensor) and step.ndim else step
        state = state.detach() if first else state
        has_gradient = save == "trajectory" or first + truncate >= time
        with nullcontext() if has_gradient else torch.no_grad():
            part, state = layer.advance(samples[some], state, step_now, save, on_divergence, prepared)
        if part is not None:
            parts.append(part)
    return torch.cat(parts) if parts else None, state
