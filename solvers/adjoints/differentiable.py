"""The differentiable inputs of a right-hand side, leaf copies of them, and gradient accumulators.

For the adjoints that keep no tape: they run forward in chunks, and make the intervals again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..loop import Interval, Problem, states
from ..right_hand_side import RightHandSide, Time, partition_of
from ..solver import Carry
from .closure import ClosureConverted

CHUNK = 64
"""Intervals that are made together by default, so that the control of the whole sequence never exists at once."""


@dataclass(frozen=True, slots=True)
class DifferentiableInputs:
    """What the right-hand sides are made of.

    Attributes:
        problem: the problem, in the functions of which the originals may be replaced.
        originals: the tensors that need gradients: inputs first, then parameters.
        leaves: of the tensors that are not inputs, a leaf for each.
    """

    problem: Problem
    originals: tuple[Tensor, ...]
    leaves: tuple[Tensor, ...]

    def inputs(self) -> list[int]:
        """The places among the problem's inputs of the originals that are inputs."""
        return [i for i, x in enumerate(self.problem.inputs) if x is not None and x.requires_grad]

    def windows(self, low: int, high: int) -> list[Tensor | None]:
        """The inputs, of the timed ones the entries from `low` to `high`, as leaves of a graph of their own."""
        windows: list[Tensor | None] = []
        for x, timed in zip(self.problem.inputs, self.problem.timed, strict=True):
            part = x if x is None or not timed else x[low:high]
            windows.append(None if part is None else part.detach().requires_grad_(part.requires_grad))
        return windows

    def sources(self, windows: Sequence[Tensor | None]) -> list[Tensor]:
        """What gradients are asked for, in the order of the originals: windows of the inputs, then the leaves."""
        inputs = [windows[i] for i in self.inputs()]
        return [window for window in inputs if window is not None] + list(self.leaves)


class GradientSums:
    """The gradients of the originals, added up chunk by chunk.

    Attributes:
        totals: for each original its gradient so far, or None.
    """

    def __init__(self, differentiable: DifferentiableInputs) -> None:
        self.totals: list[Tensor | None] = [None] * len(differentiable.originals)
        self._originals = differentiable.originals
        self._timed = [differentiable.problem.timed[i] for i in differentiable.inputs()] + [False] * len(
            differentiable.leaves
        )

    def add(self, found: Sequence[Tensor | None], low: int) -> None:
        """Add a gradient for each of `DifferentiableInputs.sources`, of a timed input from its entry `low` on."""
        for i, (got, in_time) in enumerate(zip(found, self._timed, strict=True)):
            if got is None:
                continue
            total = self.totals[i]
            if total is None:
                total = self.totals[i] = torch.zeros_like(self._originals[i])
            (total[low : low + len(got)] if in_time else total).add_(got)


def differentiable_inputs(problem: Problem) -> DifferentiableInputs:
    """Find the differentiable inputs of a problem: what it says itself, or what one evaluation of f reads.

    Raises:
        ValueError: a right-hand side reads a tensor out of sight (see ClosureConverted).
    """
    _build_cached(problem)
    if problem.parameters is None:
        return _found(problem)
    inputs = tuple(x for x in problem.inputs if x is not None and x.requires_grad)
    parameters = tuple(p for p in problem.parameters() if p.requires_grad)
    return DifferentiableInputs(problem, inputs + parameters, parameters)


def run_in_chunks(problem: Problem, visit: Callable[[int, Tensor], object], size: int) -> tuple[Tensor, Carry]:
    """Run through a problem chunk by chunk: the state at the end and the carry; `visit` sees every state.

    Args:
        problem: the problem.
        visit: (n, the state at the end of interval n), for every interval.
        size: intervals a chunk.
    """
    y, carry = problem.y0, problem.start()
    for start in range(0, problem.length, size):
        chunk = problem.chunk(start, min(start + size, problem.length), y, carry)
        for n, state in enumerate(states(chunk), start):
            y, carry = state
            visit(n, y)
    return y, carry


def _build_cached(problem: Problem) -> None:
    """Evaluate f once under autograd.

    Within torch.nn.utils.parametrize.cached() the first evaluation builds the weights for all later ones: without a
    tape they would have no history, for anyone, and no gradient would reach their parameters.
    """
    first = problem.first()
    with torch.enable_grad():
        first.f(first.t, problem.y0.detach())


def _found(problem: Problem) -> DifferentiableInputs:
    """Find what a right-hand side reads, of which nothing is known, in one evaluation."""
    first = problem.first()
    f, found = _replaced(first.f, first.t, problem.y0.detach())
    intervals = [Interval(f, each.t, each.dt) for each in problem.intervals()]
    other = replace(problem, layout=lambda inputs, start, stop, offset: intervals[start:stop])
    return DifferentiableInputs(
        other, tuple(x for one in found for x in one.originals), tuple(x for one in found for x in one.leaves)
    )


def _replaced(f: RightHandSide, t: Time, y: Tensor) -> tuple[RightHandSide, list[ClosureConverted]]:
    """`f` with leaves in place of what it closes over; `t` is the time of the one evaluation that finds them."""

    def found(part: Callable[..., Tensor], *states: Tensor) -> tuple[Callable[..., Tensor], ClosureConverted]:
        def timed(*arguments: Tensor) -> Tensor:
            """`part`, whose states come first and whose time, where it is not `t`, comes last."""
            time = arguments[-1] if len(arguments) > len(states) else t
            return part(time, *arguments[: len(states)])

        converted = ClosureConverted(timed, states)
        return lambda time, *states: converted(*states, time), converted

    partition = partition_of(f)
    if partition is None:
        whole, converted = found(f, y)
        return whole, [converted]
    q, p = y.chunk(2, dim=-1)
    drift, in_drift = found(partition.drift, *((q, p) if partition.drift_sees_q else (p,)))
    kick, in_kick = found(partition.kick, *((q, p) if partition.kick_sees_p else (q,)))
    return replace(partition, drift=drift, kick=kick), [in_drift, in_kick]
