"""Validate the state that a call begins with."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.checks import check_number, check_tensor

from ..control.time_grid import as_tensor, check_same_device
from ..fields.field import VectorField
from .inputs import check_kind
from .sequences import Sequences
from .state import RecurrentState


def initial_state(
    y0: object, x: Tensor, batch: int, field: VectorField, batched: bool
) -> Float[Tensor, "batch hidden"]:
    """`y0` checked, as (batch, hidden); zero if None. It comes as torch.nn.RNN's: (1, batch, hidden) or (1, hidden).

    Args:
        y0: the state, or None.
        x: samples, for the device.
        batch: sequences.
        field: the field.
        batched: whether the input had a dimension for sequences.

    Raises:
        TypeError: `y0` is not a tensor.
        ValueError: its shape, dtype or device is not that of the input and the field.
    """
    like = next(field.parameters(), x)
    if y0 is None:
        return torch.zeros(batch, field.hidden_size, device=x.device, dtype=like.dtype)
    if not isinstance(y0, Tensor):
        raise TypeError(f"`y0` is {type(y0).__name__}; give a torch.Tensor, a RecurrentState or None")
    wanted = (1, batch, field.hidden_size) if batched else (1, field.hidden_size)
    if tuple(y0.shape) != wanted:
        raise ValueError(f"`y0` has shape {tuple(y0.shape)}; for this input and field give {wanted}")
    check_kind("y0", y0, like)
    y0 = y0.to(like.dtype)
    return y0[0] if batched else y0


def zero_state(field: VectorField, batch: int) -> RecurrentState:
    """The zero state for `batch` sequences, like the parameters of the field."""
    like = next(field.parameters(), torch.empty(()))
    return RecurrentState(like.new_zeros(batch, field.hidden_size), as_tensor(0.0))


def start_of(name: str, y0: object, given: Sequences, field: VectorField, solver: str) -> RecurrentState:
    """The state before the first samples of sequences, checked: a RecurrentState, or as `initial_state` takes it.

    Raises:
        TypeError, ValueError: as `continuing` and `initial_state`.
    """
    if isinstance(y0, RecurrentState):
        return continuing(name, y0, given.batch, field, solver)
    return RecurrentState(initial_state(y0, given.samples, given.batch, field, given.batched))


def cell_state(
    state: Tensor | RecurrentState | None, samples: Float[Tensor, "1 batch input"], field: VectorField, solver: str
) -> RecurrentState:
    """The state before one sample, checked: a tensor (batch, hidden) or (hidden,), a RecurrentState, or zero for None.

    Raises:
        TypeError, ValueError: as `continuing`.
    """
    batch = samples.shape[1]
    if isinstance(state, Tensor):
        state = RecurrentState(state.unsqueeze(0) if state.ndim == 1 else state)
    if state is None:
        return RecurrentState(initial_state(None, samples, batch, field, batched=True))
    return continuing("state", state, batch, field, solver)


def continuing(name: str, state: object, batch: int | None, field: VectorField, solver: str) -> RecurrentState:
    """The state that a chunk continues from, checked against the chunk, the field and the solver.

    A one-step method has no carry, so any solver continues from it: one that has a carry starts there.

    Args:
        name: what to call the state in a message.
        state: the state.
        batch: sequences of the chunk, or None if the state says how many there are.
        field: the field.
        solver: the solver that continues, as `RecurrentState.solver` has it.

    Raises:
        TypeError: not a RecurrentState, or a part of it that is not what it should be.
        ValueError: a shape, dtype or device is not that of the input and the field, or another solver made the carry.
    """
    if not isinstance(state, RecurrentState):
        raise TypeError(
            f"`{name}` is {type(state).__name__}; give a RecurrentState, as the call before or `initial_state` returns"
        )
    check_tensor(f"{name}.y", state.y)
    rows = (len(state.y) if state.y.ndim else 0) if batch is None else batch
    if tuple(state.y.shape) != (rows, field.hidden_size):
        raise ValueError(
            f"`{name}.y` has shape {tuple(state.y.shape)}; this input and field want {(rows, field.hidden_size)}: "
            "continue with as many sequences as before"
        )
    like = next(field.parameters(), state.y)
    check_kind(f"{name}.y", state.y, like)
    _check_time(f"{name}.t", state.t, state.y)
    if state.control is not None:
        _check_control(f"{name}.control", state.control, state.y, like)
    if state.carry is not None:
        _check_carry(f"{name}.carry", state.carry, state.y)
    if state.carry and state.solver not in (None, solver):
        raise ValueError(
            f"`{name}` holds the carry of {state.solver} and the layer steps with {solver}; "
            f"continue with {state.solver}, or start {solver} from that state: "
            f"RecurrentState({name}.y, {name}.t, control={name}.control)"
        )
    return replace(state, y=state.y.to(like.dtype), carry=state.carry or None)


def _check_time(name: str, t: object, y: Float[Tensor, "batch hidden"]) -> None:
    if not isinstance(t, Tensor):
        check_number(name, t)
        return
    if not t.is_floating_point():
        raise TypeError(f"`{name}` has dtype {t.dtype}; give a number or a floating tensor")
    if tuple(t.shape) not in ((), (len(y), 1)):
        raise ValueError(f"`{name}` has shape {tuple(t.shape)}; give a number, () or {(len(y), 1)}")
    if t.ndim:
        check_same_device(name, t, y)


def _check_control(name: str, control: object, y: Float[Tensor, "batch hidden"], like: Tensor) -> None:
    check_tensor(name, control)
    assert isinstance(control, Tensor)
    if control.ndim < 2 or len(control) != len(y):
        raise ValueError(f"`{name}` has shape {tuple(control.shape)}; give (batch, control), a batch of {len(y)}")
    check_kind(name, control, like)


def _check_carry(name: str, carry: object, y: Float[Tensor, "batch hidden"]) -> None:
    if not isinstance(carry, tuple):
        raise TypeError(f"`{name}` is {type(carry).__name__}; give the tuple that the solver made, or None")
    for i, part in enumerate(carry):
        if not isinstance(part, Tensor):
            check_number(f"{name}[{i}]", part)
            continue
        if part.ndim:
            check_same_device(f"{name}[{i}]", part, y)
