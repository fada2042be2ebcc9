"""The exact adjoint of the two-step midpoint rule, parallel in time.

y_{j+1} = e_j y_{j-1} + w_j y_j + s_j f(y_j), where e = r^2, w = 1 - r^2 and s = dt (1 + r) with r the ratio of the step
to the one before. Backward, with G_{j+1} = dL/dy_{j+1}: y_j gets w_j G_{j+1} + J_j^T (s_j G_{j+1}) and
y_{j-1} gets e_j G_{j+1}. The three weights are inputs of the operation: a gradient by dt is left to autograd, outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .adjoint import Autograd, Save, Solved
from .chunk import Chunk, Stage
from .gradient_sums import GradientSums, chunk_bounds
from .loop import Problem
from .recurrence import Recurrence


def solve_two_step(problem: Problem, recurrence: Recurrence, save: Save) -> Solved:
    """Run the rule without a tape, keeping the state after every solver step.

    The first step of a method that starts afresh is another one, and goes by autograd.
    """
    memory = problem.start()
    taken = 0 if memory else 1
    if problem.length * problem.substeps == taken:
        return Autograd().solve(problem, save)
    y = problem.y0
    if not memory:
        first = problem.first()
        y, memory = problem.solver.step(first.f, first.t, first.dt / problem.substeps, y, memory)
    previous, dt_previous = memory
    assert isinstance(previous, Tensor)
    weights = _weights(recurrence.dt, problem.length, problem.substeps, dt_previous, y)
    parameters = problem.parameters or ()
    tensors = (recurrence.weight, recurrence.samples, recurrence.before, *parameters)
    path = _TwoStep.apply(_Plan(problem, recurrence, taken), previous, y, *weights, *tensors)
    assert isinstance(path, Tensor)
    last = recurrence.dt[problem.length - 1] if isinstance(recurrence.dt, Tensor) else recurrence.dt
    ends = path[1 - taken + problem.substeps :: problem.substeps]
    return Solved(ends if save == "trajectory" else None, path[-1], (path[-2], last / problem.substeps))


def _weights(
    dt: float | Tensor, length: int, substeps: int, before: float | Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """e, w and s of every solver step, (time, substeps, rows, 1) with 1 or batch rows, and with a graph to dt."""
    steps = torch.as_tensor(dt, dtype=y.dtype, device=y.device) / substeps
    steps = steps if steps.ndim == 3 else steps.reshape(-1, 1, 1)
    first = torch.as_tensor(before, dtype=y.dtype, device=y.device).reshape(1, -1, 1)
    rows = max(steps.shape[1], first.shape[1])
    steps = steps.expand(length, rows, 1)
    ratios = (steps / torch.cat((first.expand(1, rows, 1), steps[:-1]))).unsqueeze(1)
    ratios = torch.cat((ratios, torch.ones_like(ratios).expand(-1, substeps - 1, -1, -1)), dim=1)
    return ratios**2, 1 - ratios**2, steps.unsqueeze(1) * (1 + ratios)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The problem and how many of its steps are taken before the operation begins, 0 or 1."""

    problem: Problem
    recurrence: Recurrence
    taken: int

    def steps(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """(interval, substep, place) of the steps of the intervals from `start` to `stop`.

        The path is (y_{n-1}, y_n, y_{n+1}, ...); a step goes from its place to the next.
        """
        substeps = self.problem.substeps
        numbers = range(max(start * substeps, self.taken), stop * substeps)
        return [(j // substeps, j % substeps, j - self.taken + 1) for j in numbers]


class _TwoStep(torch.autograd.Function):
    """The path of the rule, (y_{-1}, y_0, y_1, ...), from its first two states."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, previous: Tensor, y: Tensor, *rest: Any) -> Tensor:
        earlier, now, slope, weight, samples, before, *parameters = rest
        problem = plan.problem
        steps = problem.length * problem.substeps - plan.taken
        path = y.new_empty(steps + 2, *y.shape)
        path[0], path[1] = previous, y
        for n, interval in enumerate(problem.intervals()):
            for _, k, place in plan.steps(n, n + 1):
                f_value = interval.f(interval.t + interval.dt * (k / problem.substeps), path[place])
                torch.mul(path[place], now[n, k], out=path[place + 1])
                path[place + 1].addcmul_(path[place - 1], earlier[n, k]).addcmul_(f_value, slope[n, k])
        ctx.plan, ctx.parameters = plan, tuple(parameters)
        ctx.save_for_backward(earlier, now, slope, weight, samples, before, path)
        return path

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        plan: _Plan = ctx.plan
        earlier, now, slope, weight, samples, before, path = ctx.saved_tensors
        recurrence = Recurrence(plan.recurrence.scheme, weight, samples, before, plan.recurrence.dt)
        asked = ctx.needs_input_grad
        sums = GradientSums(recurrence, ctx.parameters, (*asked[6:9], False, *asked[9:]))
        walk = _Walk(plan, (earlier, now, slope), path, gradients[0])
        each = plan.problem.y0.numel() * plan.problem.substeps
        for start, stop in reversed(chunk_bounds(plan.problem.length, each)):
            chunk = sums.open(start, stop, plan.problem.substeps)
            walk.back(chunk, start, stop)
            sums.close(chunk, start, stop)
        by_weights, by_samples, by_before, _, *by_parameters = sums.outcome()
        return (None, walk.carried, walk.gradient, *walk.sums, by_weights, by_samples, by_before, *by_parameters)


class _Walk:
    """The linear recursion backward along the path."""

    def __init__(self, plan: _Plan, weights: tuple[Tensor, ...], path: Tensor, of_path: Tensor) -> None:
        self.plan = plan
        self.weights = weights
        self.path = path
        self.of_path = of_path
        self.gradient = of_path[-1]
        self.carried = of_path[-2]
        self.sums = [torch.zeros_like(weight) for weight in weights]

    def back(self, chunk: Chunk, start: int, stop: int) -> None:
        """Go back from interval `stop` to `start`; `gradient` and `carried` are of the two states there."""
        earlier, now, slope = self.weights
        stages = [self._stage(chunk, k, start, stop) for k in range(self.plan.problem.substeps)]
        for n, k, place in reversed(self.plan.steps(start, stop)):
            gradient = self.gradient
            self._add_weights(n, k, place, gradient, stages[k].slope[n - start].detach())
            back = stages[k].pull_back(n - start, slope[n, k] * gradient)
            self.gradient = self.carried + now[n, k] * gradient + back
            self.carried = earlier[n, k] * gradient + self.of_path[place - 1]

    def _stage(self, chunk: Chunk, k: int, start: int, stop: int) -> Stage:
        """The evaluation at substep `k` of every interval; one that was taken before the operation counts nothing."""
        substeps = self.plan.problem.substeps
        places = torch.arange(start, stop) * substeps + k - self.plan.taken + 1
        states = self.path[places]
        stage = chunk.evaluate(states, states, chunk.control_at(k / substeps))
        if places[0] == 0:
            stage.kappa[0] = 0
            stage.image_gradient[0] = 0
        return stage

    def _add_weights(self, n: int, k: int, place: int, gradient: Tensor, slope: Tensor) -> None:
        for total, factor in zip(self.sums, (self.path[place - 1], self.path[place], slope), strict=True):
            total[n, k] = (gradient * factor).sum(-1, keepdim=True).sum_to_size(total.shape[2:])
