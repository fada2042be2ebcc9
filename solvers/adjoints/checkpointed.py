"""Gradients from a few saved states: each chunk of the sequence is run again in the backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Literal, final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..checks import check_count, check_type
from ..loop import Problem
from ..solver import Carry
from .adjoint import Adjoint, Autograd, Save, Solved
from .snapshot import Mark, Snapshot, snapshot_of

Outcome = tuple[Tensor | None, Tensor, Carry]
"""The trajectory if it is wanted, the state at the end, the solver's carry there."""


@final
@dataclass(frozen=True)
class Checkpointed(Adjoint):
    """Save the state at every so many intervals, and run the chunks between them again in the backward pass.

    With `every=k` memory is T / k states and the tape of k intervals; "sqrt" takes k near the square root of T. The
    forward pass is done twice. The gradient is that of `within`, exact if that is. Around Autograd it has second
    derivatives, and goes through torch.func's vmap and jvp, but not through grad and what is made of it.

    Args:
        every: intervals a chunk, or "sqrt".
        within: the adjoint of a chunk.

    Raises:
        TypeError, ValueError: `every` is neither a whole number from 1 nor "sqrt", or `within` is not an adjoint.

    Source: Griewank & Walther, Evaluating Derivatives, ch. 12; Chen et al., Training deep nets with sublinear memory
    cost (2016).
    """

    every: int | Literal["sqrt"] = "sqrt"
    within: Adjoint = Autograd()  # noqa: RUF009 - a frozen value without state

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.every != "sqrt":
            check_count("every", self.every)
        check_type("within", self.within, Adjoint, "an Adjoint, such as Autograd()")

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Run chunk by chunk."""
        if not torch.is_grad_enabled():
            return self.within.solve(problem, save)
        size = max(1, isqrt(problem.length)) if self.every == "sqrt" else self.every
        y, carry = problem.y0, problem.start()  # made once: a stochastic method draws its seed there
        snapshot, mark = snapshot_of(problem, "checkpointed"), None
        trajectories: list[Tensor] = []
        for start in range(0, problem.length, size):
            mark = None if snapshot is None else snapshot.marked(mark)
            chunk = _Chunk(self.within, problem, start, min(start + size, problem.length), save, snapshot, mark)
            trajectory, y, carry = _checkpointed(chunk, y, carry)
            if trajectory is not None:
                trajectories.append(trajectory)
        if snapshot is not None:
            snapshot.settle(replays=True)
        return Solved(torch.cat(trajectories) if trajectories else None, y, carry)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some intervals of a problem, run in the forward pass and again, as it was then, in the backward pass."""

    within: Adjoint
    problem: Problem
    start: int
    stop: int
    save: Save
    snapshot: Snapshot | None
    mark: Mark | None

    def run(self, y: Tensor, carry: Carry) -> Outcome:
        """Run them from a state."""
        if self.snapshot is None or not self.snapshot.settled:
            return self._run(y, carry)
        with self.snapshot.restored(self.mark):
            return self._run(y, carry)

    def _run(self, y: Tensor, carry: Carry) -> Outcome:
        solved = self.within.solve(self.problem.chunk(self.start, self.stop, y, carry), self.save)
        return solved.trajectory, solved.y, solved.carry


def _checkpointed(chunk: _Chunk, y: Tensor, carry: Carry) -> Outcome:
    """Run a chunk without saving its intermediate tensors."""
    try:
        outcome = checkpoint(chunk.run, y, carry, use_reentrant=False, preserve_rng_state=True)
    except RuntimeError as error:
        if "saved tensor hooks" not in str(error):
            raise
        raise NotImplementedError(
            "the checkpointed adjoint does not go through torch.func's grad, vjp, jacrev and hessian, which do not "
            "support torch's checkpoint: use adjoint='autograd' under them, or torch.autograd.grad and backward()"
        ) from error
    assert isinstance(outcome, tuple)
    return outcome
