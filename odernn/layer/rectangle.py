"""Sequences of several lengths where a launch costs more than padding: side by side, each still beyond its end."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from solvers import Autograd

from ..engines.choice import Auto
from ..engines.problem import LARGEST_RECTANGLE
from ..engines.torch.discrete_adjoint import DiscreteAdjoint
from .padded import in_storage
from .state import RecurrentState
from .stored_run import StoredRun


def goes_as_rectangle(run: StoredRun) -> bool:
    """Whether sequences whose lengths are known, of which only y at the end is asked for, are run as one rectangle.

    A step of the length zero must leave the state as it is, nothing must start afresh, and what lies beyond the ends
    must not be much more than what is in the sequences.
    """
    rows, layer = run.rows, run.layer
    if not pads_cheaply(rows.device) or rows.resets is not None or run.truncate is not None:
        return False
    if not layer.stands_still or not isinstance(layer.adjoint, Auto | Autograd | DiscreteAdjoint):
        return False
    return rows.longest * rows.batch <= LARGEST_RECTANGLE * sum(rows.read())


def pads_cheaply(device: torch.device) -> bool:
    """Whether many rows take as long as few: everywhere but on the processor."""
    return device.type != "cpu"


def run_rectangle(run: StoredRun) -> tuple[Float[Tensor, "places hidden"] | None, RecurrentState]:
    """Run sequences in a storage to the end of the longest, by steps of the length zero beyond their ends.

    Returns:
        The output in the storage, zero at the places of no sample, or None; and the state at each end.
    """
    layer, rows = run.layer, run.rows
    inside, zero = rows.inside(), run.data.new_zeros(())
    step = torch.where(inside, run.steps.step, zero).T
    samples = _samples(run, inside, zero)
    output, end = layer.advance(samples, run.state, step, run.save, layer.on_divergence)
    end = RecurrentState(end.y)
    if output is None:
        return None, end
    if not rows.in_place:
        return in_storage(len(run.data), output, rows.places.masked_fill(~inside, len(run.data))), end
    storage = torch.where(inside.unsqueeze(-1), output, zero).flatten(0, 1)
    rest = len(run.data) - len(storage)
    return pad(storage, (0, 0, 0, rest)) if rest else storage, end


def _samples(
    run: StoredRun, inside: Bool[Tensor, "time batch"], zero: Float[Tensor, ""]
) -> Float[Tensor, "time batch features"]:
    """The samples of the rectangle; beyond an end they are finite."""
    if not run.rows.in_place:
        return run.data[run.rows.places]
    samples = run.data[: inside.numel()].unflatten(0, inside.shape)
    return torch.where(inside.unsqueeze(-1), samples, zero)
