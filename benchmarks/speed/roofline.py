"""What the machine allows: the matrix products of a case alone, and the most operations a second."""

from __future__ import annotations

import torch

from benchmarks.speed.contender import Contender, Runner, seconds_of, takes_the_papers
from benchmarks.speed.problem import Problem

PEAK_SIZE = 2048
PEAK_CALLS = 7


def matmul_contender() -> Contender:
    """The paper's network's matrix products: one a step forward and one backward, and one for K's gradient."""
    return Contender("matmul", "arithmetic", _products, takes_the_papers)


def measure_peak(device: torch.device, size: int = PEAK_SIZE) -> float:
    """The operations a second of the fastest of several large products in float32."""
    a, b, out = torch.randn(3, size, size, device=device).unbind()
    fastest = min(seconds_of(lambda: torch.mm(a, b, out=out), device) for _ in range(PEAK_CALLS))
    return 2 * size**3 / fastest


def _products(problem: Problem) -> Runner:
    case, shape = problem.case, problem.case.shape
    states = torch.randn(shape.time, shape.batch, shape.units, device=problem.device)
    weight, gradient = torch.randn(2, shape.units, shape.units, device=problem.device).unbind()
    out = torch.empty(shape.batch, shape.units, device=problem.device)
    steps, flat = states.unbind(), states.flatten(0, 1)

    def work() -> None:
        for y in steps:
            torch.mm(y, weight, out=out)
        if case.work == "training":
            for y in steps:
                torch.mm(y, weight, out=out)
            torch.mm(flat.T, flat, out=gradient)

    return Runner(lambda: seconds_of(work, problem.device), None)
