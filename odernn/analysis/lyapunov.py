"""The Lyapunov exponents of a layer along a driven trajectory, by the QR method."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from odernn import ODERNN
from solvers.checks import check_count

from .matrices import orthonormalised
from .subject import Subject, check_dtype, prepare
from .transition import Place, advance, start, transition


def lyapunov_exponents(
    rnn: ODERNN,
    x: Tensor,
    y0: Tensor | None = None,
    *,
    every: int = 10,
    skip: int = 0,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "batch exponents"]:
    """The Lyapunov exponents along the trajectory that the input drives, in units of 1 / time, the largest first.

    They are the mean rates at which the axes of a small ball of states grow: those of the network as it is run, solver
    and substeps included. An orthonormal frame is pushed through the Jacobian of every `every` samples and made
    orthonormal again; the exponents are the means of log |R_ii| per unit of time. The frame begins with the axes, so
    the exponents are exact only where the sequence is long; `skip` leaves out the samples in which it settles.

    A multi-step or reversible solver carries more than y: its exponents are those of the whole state, hidden for y and
    hidden for each part carried. Those that belong to no mode of the field tell whether its parasitic modes grow.

    Args:
        rnn: the layer. It is not changed.
        x: the input as the layer takes it, in its layout; a single sequence makes a batch of one.
        y0: the start as the layer takes it; zero if None.
        every: samples from one QR factorisation to the next. Within them the fastest direction must not outgrow the
            slowest by more than the dtype's digits.
        skip: samples at the start that are run but not counted.
        dtype: the dtype to compute in, such as torch.float64; None for the layer's own.

    Returns:
        (batch, hidden), of a solver that carries k parts (batch, hidden (1 + k)). Minus infinity for a direction that
        is lost altogether.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range, or a Jacobian that is not finite.
        DivergenceError: the state stopped being finite.

    Source: Benettin, Galgani, Giorgilli & Strelcyn, Lyapunov characteristic exponents for smooth dynamical systems,
    Meccanica 15 (1980), 9-30; Engelken, Wolf & Abbott, Lyapunov spectra of chaotic recurrent neural networks (2023).
    """
    check_dtype(dtype)
    check_count("every", every)
    subject = prepare(rnn, x, y0, dtype)
    begin, place = _started(subject)
    counted_from = max(begin, _checked_skip(skip, subject))
    frame = torch.eye(_size(place), dtype=place.state.y.dtype, device=place.state.y.device).repeat(subject.batch, 1, 1)
    sums = torch.zeros(subject.batch, _size(place), dtype=torch.float64)
    for first, last in _pieces(begin, counted_from, subject.length, every):
        end = advance(subject, place, first, last)
        pushed = transition(subject, place, first, last, end.carried) @ frame
        frame, triangle = orthonormalised(pushed)
        place = end
        if first >= counted_from:
            sums += triangle.diagonal(dim1=-2, dim2=-1).abs().cpu().to(torch.float64).log()
    counted = subject.durations()[counted_from:].sum(dim=0).unsqueeze(-1)
    return (sums / counted).sort(dim=-1, descending=True).values.to(subject.state.y)


def _started(subject: Subject) -> tuple[int, Place]:
    """The first sample at which the solver carries as much as ever after, and where the layer stands there.

    Raises:
        ValueError: the input ends before.
    """
    place = start(subject)
    for index in range(subject.length):
        after = advance(subject, place, index, index + 1)
        if len(after.carried) == len(place.carried):
            return index, place
        place = after
    raise ValueError(f"`x` has {subject.length} samples and the solver needs them all to start; give a longer input")


def _checked_skip(skip: object, subject: Subject) -> int:
    if isinstance(skip, bool) or not isinstance(skip, int):
        raise TypeError(f"`skip` is {skip!r} ({type(skip).__name__}); give a whole number from 0")
    if not 0 <= skip < subject.length:
        raise ValueError(f"`skip` is {skip} and `x` has {subject.length} samples; give a number from 0 below that")
    return skip


def _pieces(begin: int, middle: int, end: int, every: int) -> Iterator[tuple[int, int]]:
    """Pieces of at most `every` samples; one of them ends at `middle`."""
    for low, high in ((begin, middle), (middle, end)):
        for first in range(low, high, every):
            yield first, min(first + every, high)


def _size(place: Place) -> int:
    """The size of the whole state."""
    return place.state.y.shape[-1] * (1 + len(place.carried))
