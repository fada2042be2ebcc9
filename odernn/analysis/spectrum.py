"""The eigenvalues of a field's Jacobian df/dy, at states or along the trajectory of a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from einops import rearrange
from jaxtyping import Complex, Float
from torch import Tensor

from odernn import ODERNN, VectorField
from solvers.checks import check_tensor
from solvers.extend import Time

from .matrices import eigenvalues
from .subject import Subject, check_dtype, converted, copy_of, prepare
from .transition import ENTRIES


def spectrum(
    model: ODERNN | VectorField,
    x: Tensor,
    y: Tensor | None = None,
    *,
    at: Sequence[int] | None = None,
    dtype: torch.dtype | None = None,
) -> Complex[Tensor, "*batch hidden"]:
    """The eigenvalues of the Jacobian df/dy, in units of 1 / time.

    Of a network they are taken along its trajectory, for each sample at the start of its interval: in the state before
    the sample, under the control that holds there. They say which modes of the field turn (imaginary part), grow or
    decay (real part); times the step of the solver, as `scaled_spectrum` gives them, they lie inside its stability
    region or outside. Noise and dropout are off.

    Args:
        model: a network, or a field.
        x: of a network its input, in its layout; of a field inputs (..., input).
        y: of a network the start as it takes it, zero if None; of a field the states (..., hidden).
        at: of a network the samples to take, from 0; all of them if None. Each costs the eigenvalues of a matrix of
            hidden x hidden for each sequence.
        dtype: the dtype to compute in, such as torch.float64; None for the model's own.

    Returns:
        Of a network (time, batch, hidden), time first whatever its layout; of a field (..., hidden).

    Raises:
        TypeError, ValueError: an argument of the wrong type or shape, or a Jacobian that is not finite.
        DivergenceError: the state of the network stopped being finite.

    Source: Chang et al., AntisymmetricRNN (2019), sec. 3, propositions 1 and 2.
    """
    check_dtype(dtype)
    if isinstance(model, ODERNN):
        return _along(prepare(model, x, y, dtype), at)
    if not isinstance(model, VectorField):
        raise TypeError(f"`model` is {type(model).__name__}; give an ODERNN or a VectorField")
    if at is not None:
        raise ValueError("`at` chooses samples of a network's input; of a field give the states and inputs you want")
    return eigenvalues(field_jacobian(model, x, y, dtype=dtype))


def scaled_spectrum(
    rnn: ODERNN,
    x: Tensor,
    y0: Tensor | None = None,
    *,
    at: Sequence[int] | None = None,
    dtype: torch.dtype | None = None,
) -> Complex[Tensor, "time batch hidden"]:
    """The eigenvalues of df/dy times the step of the solver, dt / substeps: the z of `Solver.amplification`.

    Args:
        rnn: the network.
        x: its input, in its layout.
        y0: where it starts, as it takes it; zero if None.
        at: the samples to take, from 0; all of them if None.
        dtype: the dtype to compute in; None for the network's own.

    Returns:
        (time, batch, hidden), time first whatever the network's layout.

    Raises:
        TypeError, ValueError, DivergenceError: as `spectrum`.
    """
    check_dtype(dtype)
    subject = prepare(rnn, x, y0, dtype)
    return scaled(subject, _along(subject, at), at)


def scaled(
    subject: Subject, values: Complex[Tensor, "time batch hidden"], at: Sequence[int] | None
) -> Complex[Tensor, "time batch hidden"]:
    """The eigenvalues at the samples `at`, times the step of the solver there."""
    steps = subject.durations()[chosen(at, subject.length)] / subject.rnn.substeps
    return values * steps.unsqueeze(-1).to(values.real)


def field_jacobian(
    field: VectorField, x: Tensor, y: Tensor | None, *, dtype: torch.dtype | None = None
) -> Float[Tensor, "*batch hidden hidden"]:
    """The Jacobian df/dy of a field at states under inputs, at the time 0.

    Args:
        field: the field.
        x: inputs (..., input).
        y: states (..., hidden); the leading dimensions broadcast against those of `x`.
        dtype: the dtype to compute in; None for the field's own.

    Returns:
        (..., hidden, hidden), the derivative of entry i of the slope by entry j of the state at [i, j].

    Raises:
        TypeError, ValueError: a tensor is missing, or its last dimension is not the field's.
    """
    check_dtype(dtype)
    for name, value, size in (("x", x, field.input_size), ("y", y, field.hidden_size)):
        check_tensor(name, value)
        assert isinstance(value, Tensor)
        if value.ndim == 0 or value.shape[-1] != size or value.numel() == 0:
            raise ValueError(f"`{name}` has shape {tuple(value.shape)}; give (..., {size}) for this field")
    assert y is not None
    copied = copy_of(field, dtype)
    u, y = copied.control(converted(x, dtype)), converted(y, dtype)
    leading = torch.broadcast_shapes(y.shape[:-1], u.shape[:-1])
    rows = y.expand(*leading, -1).reshape(-1, y.shape[-1])
    controls = u.expand(*leading, -1).reshape(len(rows), -1)
    return row_jacobians(copied, 0.0, rows, controls).reshape(*leading, y.shape[-1], y.shape[-1])


def row_jacobians(
    field: VectorField, t: Time, y: Float[Tensor, "rows hidden"], u: Float[Tensor, "rows control"]
) -> Float[Tensor, "rows hidden hidden"]:
    """The Jacobian df/dy of each row: every row stands `hidden` times in one backward pass."""
    size = y.shape[-1]
    at_once = max(1, ENTRIES // size**2)
    blocks = zip(y.split(at_once), u.split(at_once), _times(t, len(y), at_once), strict=True)
    return torch.cat([_block(field, when, block, controls) for block, controls, when in blocks])


def _times(t: Time, count: int, at_once: int) -> Iterator[Time]:
    """The times of each block of rows."""
    for first in range(0, count, at_once):
        yield t[first : first + at_once] if isinstance(t, Tensor) and t.ndim else t


@torch.enable_grad()
def _block(field: VectorField, t: Time, y: Tensor, u: Tensor) -> Tensor:
    rows, size = y.shape
    repeated = y.detach().repeat_interleave(size, dim=0).requires_grad_()
    when = t.repeat_interleave(size, dim=0) if isinstance(t, Tensor) and t.ndim else t
    slope = field(when, repeated, u.detach().repeat_interleave(size, dim=0))
    directions = torch.eye(size, dtype=y.dtype, device=y.device).repeat(rows, 1)
    (gradient,) = torch.autograd.grad(slope, repeated, directions, materialize_grads=True)
    return rearrange(gradient, "(state row) column -> state row column", row=size)


def chosen(at: Sequence[int] | None, length: int) -> list[int]:
    """The samples to take, checked.

    Raises:
        ValueError: none, or one that the input does not have.
    """
    if at is None:
        return list(range(length))
    wrong = [index for index in at if not 0 <= index < length]
    if wrong or not len(at):
        raise ValueError(f"`at` is {list(at)} and the input has {length} samples; give some of 0 to {length - 1}")
    return list(at)


def _along(subject: Subject, at: Sequence[int] | None) -> Tensor:
    return eigenvalues(jacobians_along(subject, subject.rnn.field, chosen(at, subject.length)))


def jacobians_along(
    subject: Subject, field: VectorField, at: Sequence[int]
) -> Float[Tensor, "time batch hidden hidden"]:
    """The Jacobians of `field` at the start of the intervals `at` of the network's trajectory.

    `field` may differ from the network's in its damping: then they are those of another field at the same states.
    """
    states, controls, times = _places(subject, at)
    rows, controls = (rearrange(each, "time batch unit -> (time batch) unit") for each in (states, controls))
    found = row_jacobians(field, times, rows, controls)
    return rearrange(found, "(time batch) row column -> time batch row column", batch=subject.batch)


@torch.no_grad()
def _places(subject: Subject, at: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The states (time, batch, hidden), controls (time, batch, control) and times (time batch, 1) at `at`."""
    rnn, y0 = subject.rnn, subject.state.y
    trajectory, _ = rnn(subject.samples, y0.unsqueeze(0), dt=subject.dt)
    index = torch.tensor(at, device=y0.device)
    states = torch.cat((y0.unsqueeze(0), trajectory[:-1]))[index]
    u = rnn.field.control(subject.samples)
    before = torch.cat((u[:1], u[:-1]))
    controls = rnn.hold.between(before[index], u[index], 0.0)
    durations = subject.durations()
    starts = (durations.cumsum(0) - durations)[at].expand(-1, subject.batch)
    return states, controls, starts.reshape(-1, 1).to(y0)
