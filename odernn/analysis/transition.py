"""The derivative of where a layer arrives by where it starts, what its solver carries included.

The rows of a batch do not see each other. So a batch in which every sequence stands d times gives d rows of every
Jacobian in one backward pass, in which each step multiplies d small vectors by its own Jacobian: O(T) products of small
matrices, whatever the field, the solver and the hold are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from odernn import RecurrentState
from solvers.extend import Time

from .subject import Subject

ENTRIES = 2**24
"""Entries of a trajectory that one backward pass may hold: 128 MB in float64. More rows go in several passes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer stands, and which entries of its solver's carry depend on where it started.

    Attributes:
        state: the state, without gradients.
        carried: indices into the carry of the entries (batch, hidden) that are part of the whole state.
    """

    state: RecurrentState
    carried: tuple[int, ...] = ()

    def parts(self) -> tuple[Tensor, ...]:
        """The state y, then what is carried, each (batch, hidden)."""
        return self.state.y, *carried_parts(self.state, self.carried)


def start(subject: Subject) -> Place:
    """The beginning: only y is there, and the solver makes what it carries of it."""
    return Place(subject.state)


def advance(subject: Subject, place: Place, first: int, last: int) -> Place:
    """Where the samples from `first` to `last` lead."""
    end = _run(subject, _tracked(_lean(place)), first, last)
    carried = tuple(
        index for index, part in enumerate(end.carry or ()) if isinstance(part, Tensor) and part.requires_grad
    )
    return Place(end.detach(), carried)


def transition(
    subject: Subject, place: Place, first: int, last: int, carried: Sequence[int] = ()
) -> Float[Tensor, "batch rows columns"]:
    """The Jacobian of the samples from `first` to `last`, by the whole state at their start.

    Args:
        subject: what is analysed.
        place: where it stands at `first`.
        first: the first sample.
        last: after the last sample.
        carried: the entries of the carry at the end that are differentiated too, after y.
    """
    size = subject.rnn.field.hidden_size
    rows = size * (1 + len(carried))
    directions = torch.eye(rows, dtype=place.state.y.dtype, device=place.state.y.device)
    at_once = max(1, ENTRIES // ((last - first) * subject.batch * size))
    blocks = [
        _rows(subject, place, carried, block.split(size, dim=1), first, last) for block in directions.split(at_once)
    ]
    return torch.cat(blocks, dim=1)


def carried_parts(state: RecurrentState, carried: Sequence[int]) -> list[Tensor]:
    """The entries of the carry that are part of the whole state."""
    carry = state.carry or ()
    return [part for index in carried if isinstance(part := carry[index], Tensor)]


def _rows(
    subject: Subject, place: Place, carried: Sequence[int], directions: Sequence[Tensor], first: int, last: int
) -> Float[Tensor, "batch rows columns"]:
    """The rows of the Jacobian along `directions`, (rows, hidden) for each part of the state at the end."""
    count = len(directions[0])
    begin = _tracked(_repeated(_lean(place), count))
    end = _run(subject, begin, first, last, repeats=count)
    ends = [end.y, *carried_parts(end, carried)]
    along = [direction.repeat(subject.batch, 1) for direction in directions]
    gradients = torch.autograd.grad(ends, begin.parts(), along, materialize_grads=True)
    return rearrange(torch.cat(gradients, dim=-1), "(batch row) column -> batch row column", row=count)


@torch.enable_grad()
def _run(subject: Subject, begin: Place, first: int, last: int, repeats: int = 1) -> RecurrentState:
    samples = subject.samples[first:last].repeat_interleave(repeats, dim=1)
    dt = subject.steps(first, last)
    if dt is not None and dt.ndim == 2:
        dt = dt.repeat_interleave(repeats, dim=0)
    return subject.rnn(samples, begin.state, dt=dt, save="end")[1]


def _lean(place: Place) -> Place:
    """The state without a carry that holds only matrices, which a one-step method keeps to save work."""
    return place if place.carried else replace(place, state=replace(place.state, carry=None))


def _repeated(place: Place, count: int) -> Place:
    """Every sequence `count` times, one copy beside the other."""
    state, batch = place.state, len(place.state.y)
    carry = None if state.carry is None else tuple(_repeat(part, batch, count) for part in state.carry)
    control = None if state.control is None else state.control.repeat_interleave(count, dim=0)
    y = state.y.repeat_interleave(count, dim=0)
    return replace(place, state=RecurrentState(y, _repeat(state.t, batch, count), carry, control))


def _repeat(part: Time, batch: int, count: int) -> Time:
    """A number, or a tensor that is the same for all sequences, stays; one of a row a sequence is repeated."""
    if isinstance(part, Tensor) and part.ndim and len(part) == batch:
        return part.repeat_interleave(count, dim=0)
    return part


def _tracked(place: Place) -> Place:
    """The state with gradients flowing to y and to what is carried."""
    state = place.state
    carry = None
    if state.carry is not None:
        carry = tuple(_leaf(part) if index in place.carried else part for index, part in enumerate(state.carry))
    return replace(place, state=replace(state, y=state.y.detach().requires_grad_(), carry=carry))


def _leaf(part: Time) -> Time:
    return part.detach().requires_grad_() if isinstance(part, Tensor) else part
