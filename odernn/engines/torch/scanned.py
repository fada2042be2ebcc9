"""Scanned: the loop over samples as one operator of torch's, whose number is then no part of a traced program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch._higher_order_ops.scan import scan  # the one form of a loop that torch's ONNX exporter knows

from solvers import Adjoint, Autograd
from solvers.extend import Problem, Save, Solved

from ..problem import LayerInputs, RecurrentProblem


@final
@dataclass(frozen=True)
class Scanned(Adjoint):
    """`Autograd` of a one-step method, with the steps of one sample written down once and not once a sample."""

    def solve(self, problem: Problem, save: Save) -> Solved:
        """Scan over the samples."""
        assert isinstance(problem, RecurrentProblem)
        given, first = problem.given, problem.first()
        starts, lengths = _times(problem, first.t, first.dt)
        before = () if problem.hold.jumps else (_before(problem),)

        def step(carried: tuple[Tensor, ...], entry: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
            y, *control = carried
            sample, start, length = (each.unsqueeze(0) for each in entry)
            inputs = LayerInputs(given.weight, sample, control[0] if control else None, start, length)
            y = Autograd().solve(replace(problem, inputs=inputs, length=1, y0=y, origin=0), "end").y
            return (y, *(problem.control(sample[0]).clone() for _ in control)), y.clone()

        (y, *_), trajectory = scan(step, (problem.y0, *before), (problem.span.samples, starts, lengths))
        return Solved(trajectory if save == "trajectory" else None, y, ())


def scans(problem: Problem) -> bool:
    """Whether it is a layer's problem whose method carries nothing besides the state."""
    schemes = problem.solver.schemes
    return isinstance(problem, RecurrentProblem) and schemes is not None and schemes.vectors == 1


def _times(
    problem: RecurrentProblem, start: float | Tensor, dt: float | Tensor
) -> tuple[Float[Tensor, "time ..."], Float[Tensor, "time ..."]]:
    """The starts and the lengths of the intervals."""
    given, span = problem.given, slice(problem.origin, problem.origin + problem.length)
    if given.starts is not None and given.lengths is not None:
        return given.starts[span], given.lengths[span]
    numbers = torch.arange(problem.length, dtype=torch.float64, device=problem.y0.device)
    return start + numbers * dt, numbers.new_ones(problem.length, dtype=problem.y0.dtype) * dt


def _before(problem: RecurrentProblem) -> Float[Tensor, "batch control"]:
    """The control before the first sample; that of the first where there is none."""
    samples, before, _ = problem.span
    return problem.control(samples[0]) if before is None else before
