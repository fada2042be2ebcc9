"""RecurrentState: everything a layer carries from one chunk of a sequence to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import GetAttrKey, register_pytree_node

from solvers.extend import Carry, Time

_Part = TypeVar("_Part", Tensor, float, Tensor | float)


@dataclass(frozen=True, slots=True)
class RecurrentState:
    """The whole state of a layer between two samples. Handing it on makes any split of a sequence give the same output.

    It is a pytree, so that torch.func, torch.compile and torch.export see its tensors, and a file of it is read by
    `torch.load` with `weights_only=True`.

    Attributes:
        y: the state of the field, (batch, hidden).
        t: the time, a number or a tensor of shape () or (batch, 1); a layer gives a tensor.
        carry: what a multi-step or reversible solver carries besides y; None before its start.
        control: the control of the last sample, (batch, control), which the linear hold needs; None at the start.
        solver: the solver that made `carry`, with its hyperparameters. Another one refuses to continue from it; from
            `RecurrentState(state.y, state.t, control=state.control)` it starts at that state.
    """

    y: Float[Tensor, "batch hidden"]
    t: Time = 0.0
    carry: Carry | None = None
    control: Float[Tensor, "batch control"] | None = None
    solver: str | None = None

    def detach(self) -> Self:
        """The same state cut from the graph, for truncated backpropagation through time."""
        return self._mapped(Tensor.detach)

    def clone(self) -> Self:
        """The same state in memory of its own."""
        return self._mapped(lambda part: part.clone(memory_format=torch.contiguous_format))

    def rows(self, index: Tensor | slice) -> Self:
        """The state of some of the sequences."""
        return self._mapped(lambda part: _of_rows(part, len(self.y))[index] if part.ndim else part)

    def without_aliases_of(self, other: RecurrentState) -> Self:
        """The same state, what it shares with another one in memory of its own: neither changes with the other."""
        theirs = (other.y, other.t, *(other.carry or ()), other.control)
        for part in (self.y, self.t, *(self.carry or ()), self.control):
            for other_part in theirs:
                if part is other_part and isinstance(part, Tensor):
                    return self._mapped(lambda part: part.clone() if _is_one_of(part, theirs) else part)
        return self

    def to(self, device: torch.device | str | torch.dtype | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same state on another device, in another floating dtype, or both, as `Tensor.to`.

        The time keeps its dtype, and a time of shape () its device: late times need their digits, and nothing has to
        wait for a device to read it.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device

        def moved(part: Tensor) -> Tensor:
            return part.to(device=device, dtype=dtype if part.is_floating_point() else None)

        t = self.t.to(device=device) if isinstance(self.t, Tensor) and self.t.ndim else self.t
        return replace(self._mapped(moved), t=t)

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> Self:
        carry = self.carry
        return replace(
            self,
            y=function(self.y),
            t=_applied(function, self.t),
            carry=None if carry is None else tuple(_applied(function, part) for part in carry),
            control=None if self.control is None else function(self.control),
        )


def _is_one_of(part: Tensor, others: Sequence[object]) -> bool:
    """Whether it is one of them, and not only equal to it."""
    found = False
    for other in others:
        found |= part is other
    return found


def _applied(function: Callable[[Tensor], Tensor], part: _Part) -> _Part:
    return function(part) if isinstance(part, Tensor) else part  # pyright: ignore[reportReturnType]


def joined(states: Sequence[RecurrentState]) -> RecurrentState:
    """The states of several batches as that of one.

    Raises:
        ValueError: the solver carries something else in one of them, as a multi-step method does before it has started.
    """
    if len(states) == 1:
        return states[0]
    carries = [state.carry or () for state in states]
    if len(set(map(len, carries))) > 1 or len({state.control is None for state in states}) > 1:
        raise ValueError(
            "some of the sequences have not started, or are too short for the solver to have started, so that there is "
            "no common RecurrentState; start from a tensor y0 or from None, or leave them out"
        )
    sizes = [len(state.y) for state in states]
    controls = [state.control for state in states if state.control is not None]
    return RecurrentState(
        torch.cat([state.y for state in states]),
        _column([state.t for state in states], sizes, states[0].y.device),
        tuple(_column(parts, sizes, states[0].y.device) for parts in zip(*carries, strict=True)) or None,
        torch.cat(controls) if controls else None,
        next((state.solver for state in states if state.solver is not None), None),
    )


def _column(parts: Sequence[Tensor | float], sizes: Sequence[int], device: torch.device) -> Tensor | float:
    """One part for all rows; a number, or a tensor of shape (), for each of its own only where they differ."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if not tensors and len(set(parts)) == 1:
        return parts[0]
    if any(not part.is_floating_point() for part in tensors) or any(isinstance(part, int) for part in parts):
        if all(bool(torch.as_tensor(part == parts[0]).all()) for part in parts):
            return parts[0]
        raise ValueError(
            "the solver draws noise for all sequences at once, so that there is no common RecurrentState of sequences "
            "of several lengths; start from a tensor y0 or from None"
        )
    dtype = tensors[0].dtype if tensors else torch.float64
    columns = [torch.as_tensor(part, dtype=dtype, device=device) for part in parts]
    return torch.cat([_of_rows(part, size) for part, size in zip(columns, sizes, strict=True)])


def _of_rows(part: Tensor, size: int) -> Tensor:
    """A part that is common to the rows, (), (1, 1) or so, for each of them."""
    return part.expand(size, *part.shape[1:]) if part.ndim else part.expand(size, 1)


_CHILDREN = ("y", "t", "carry", "control")


def _flatten(state: RecurrentState) -> tuple[list[Any], str | None]:
    return [getattr(state, name) for name in _CHILDREN], state.solver


def _flatten_with_keys(state: RecurrentState) -> tuple[list[tuple[Any, Any]], str | None]:
    return [(GetAttrKey(name), getattr(state, name)) for name in _CHILDREN], state.solver


register_pytree_node(
    RecurrentState,
    _flatten,
    lambda children, solver: RecurrentState(*children, solver=solver),
    serialized_type_name="odernn.RecurrentState",
    flatten_with_keys_fn=_flatten_with_keys,
)
torch.serialization.add_safe_globals([RecurrentState])
