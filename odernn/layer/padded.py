"""Sequences of several lengths where torch traces: run to the end of the longest, what lies beyond an end left out."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from solvers.checks import check_entries
from solvers.extend import OnDivergence, Save

from ..control.time_grid import Step
from .integrator import Integrator
from .rows import Rows
from .state import RecurrentState
from .stored_run import StoredRun


def run_padded(run: StoredRun) -> tuple[Float[Tensor, "places hidden"] | None, RecurrentState]:
    """Run sequences in a storage to the end of the longest.

    The shapes of the program that is traced do not depend on the lengths, and so it serves for any. Beyond its end a
    sequence sees its last sample again. An explicit one-step method stands still there; another goes on, and what it
    finds is thrown away. With resets the samples are run one by one.

    Returns:
        The output in the storage, zero at the places of no sample, or None; and the state at each end.

    Raises:
        ValueError: there are resets, and the solver carries something that would have to begin afresh.
    """
    layer, state = run.layer, run.state
    inside = run.rows.inside()
    step = run.steps.step
    if layer.stands_still:
        step = torch.where(inside, step, run.data.new_zeros(()))
    step = step.T if isinstance(step, Tensor) and step.ndim else step
    places = run.rows.places
    samples = run.data[places]
    if run.rows.resets is None:
        if run.truncate is None:
            output, _ = layer.advance(samples, state, step, "trajectory", "ignore")
        else:
            output, _ = truncated(layer, samples, state, step, "trajectory", "ignore", run.truncate)
    else:
        output = _one_by_one(run, samples, step, run.rows.resets)
    assert output is not None
    end = _end(run.rows, output, state.y)
    if layer.on_divergence == "raise":
        rule = "the state stopped being finite"
        check_entries(end.isfinite(), rule, lambda at: rule)
    if run.save == "end":
        return None, RecurrentState(end)
    return in_storage(run.data.shape[0], output, places.masked_fill(~inside, run.data.shape[0])), RecurrentState(end)


def _one_by_one(
    run: StoredRun,
    samples: Float[Tensor, "time batch features"],
    step: Step,
    resets: Bool[Tensor, "time batch"],
) -> Float[Tensor, "time batch hidden"]:
    """The trajectory, with the state set back before samples."""
    layer, state = run.layer, run.state
    prepared, outputs = layer.prepared(state.y), []
    for n, fresh in enumerate(resets.unsqueeze(-1).unbind()):
        state = state.detach() if run.truncate and n and n % run.truncate == 0 else state
        late = run.steps.fresh[n].unsqueeze(-1) if isinstance(run.steps.fresh, Tensor) else run.steps.fresh
        times = torch.as_tensor(state.t, dtype=torch.float64, device=fresh.device)
        state = RecurrentState(state.y.masked_fill(fresh, 0), torch.where(fresh, late, times))
        step_now = step[..., n : n + 1] if isinstance(step, Tensor) and step.ndim else step
        part, state = layer.advance(samples[n : n + 1], state, step_now, "trajectory", "ignore", prepared)
        if state.carry and not layer.solver.caches:
            raise ValueError(
                f"`resets` with {layer.made_by}, which carries more than the state, while torch traces: take an "
                "explicit one-step method, or call the layer outside of the program"
            )
        outputs.append(part)
    return torch.cat(outputs)


def _end(rows: Rows, output: Tensor, y0: Tensor) -> Float[Tensor, "batch hidden"]:
    """The state after the last sample of each sequence; `y0` of one that has none."""
    lengths = torch.as_tensor(rows.lengths, device=output.device)
    last = output[(lengths - 1).clamp(min=0), torch.arange(y0.shape[0], device=output.device)]
    return torch.where((lengths > 0).unsqueeze(1), last, y0)


def in_storage(size: int, output: Tensor, places: Tensor) -> Float[Tensor, "places hidden"]:
    """The output at its places; what lies beyond an end has one more place, which is dropped."""
    storage = output.new_zeros(size + 1, output.shape[-1])
    return storage.index_put((places.flatten(),), output.flatten(0, 1))[:size]


def truncated(
    layer: Integrator,
    samples: Float[Tensor, "time batch input"],
    state: RecurrentState,
    step: Step,
    save: Save,
    on_divergence: OnDivergence,
    truncate: int,
) -> tuple[Tensor | None, RecurrentState]:
    """`Integrator.advance`, with gradients stopped after every `truncate` samples.

    Where only the end is asked for, nothing but the last of these chunks has a gradient, and nothing is kept of others.
    """
    prepared, time = layer.prepared(state.y), samples.shape[0]
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
