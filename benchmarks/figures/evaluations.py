"""How often a solver evaluates the right-hand side in a step: counted where it iterates, else by its tableau."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from odernn import ODERNN
from solvers import Structured
from solvers.extend import Time

ITERATING = ("implicit", "discrete gradient", "adaptive")
"""The families whose evaluations depend on the problem."""

COUNTED = 12
"""Samples over which they are counted."""


@dataclass
class _Counter:
    """Counts the calls of a right-hand side; one that is made for a derivative counts as one."""

    rnn: ODERNN
    calls: int = 0
    u: Tensor = field(default_factory=lambda: torch.empty(0))

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        self.calls += 1
        return self.rnn.field(t, y, self.u)


def evaluations_a_step(rnn: ODERNN, x: Float[Tensor, "batch time input"]) -> float:
    """Evaluations of f a solver step, along the first sequence."""
    if rnn.solver.family not in ITERATING:
        return rnn.solver.num_evals
    counter = _Counter(rnn)
    f = Structured(counter)
    dt = float(rnn.dt) / rnn.substeps
    y = x.new_zeros(1, rnn.field.hidden_size)
    memory = rnn.solver.init(f, 0.0, dt, y)
    samples = x[0, :COUNTED]
    with torch.no_grad():
        for sample in samples:
            counter.u = rnn.field.control(sample.unsqueeze(0))
            for _ in range(rnn.substeps):
                y, memory = rnn.solver.step(f, 0.0, dt, y, memory)
    return counter.calls / (len(samples) * rnn.substeps)
