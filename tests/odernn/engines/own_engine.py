"""An engine of one's own, in one file: Euler's method on tanh(y K^T + x V^T + b), by a loop and by hand back."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from odernn import Engine
from odernn.extend import Cotangents, Operands, Program, RecurrentProblem, Wants, register_engine
from odernn.fields.field import activation_of
from solvers import Euler

CALLS: list[str] = []
"""What has run."""


def solve(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
    """y_n = y_{n-1} + dt tanh(y_{n-1} K^T + x_n V^T + b)."""
    CALLS.append("solve")
    y, dt, v = operands.y0, float(operands.dt), operands.input_weight
    assert v is not None
    controls, states = torch.nn.functional.linear(operands.samples, v, operands.bias), []
    for u in controls:
        y = y + dt * torch.tanh(y @ operands.weight.T + u)
        states.append(y)
    nothing = y.new_empty(0)
    return torch.stack(states) if save else nothing, y, nothing, nothing.clone()


def pull_back(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
    """With s = tanh(...) and lambda_n = dL/dy_n: g = dt (1 - s^2) lambda_n, lambda_{n-1} = lambda_n + g K + ..."""
    CALLS.append("pull back")
    k, v, x, y0, dt = operands.weight, operands.input_weight, operands.samples, operands.y0, float(operands.dt)
    assert v is not None
    before = torch.cat((y0.unsqueeze(0), given.saved[:-1]))
    slope = (given.saved - before) / dt
    by_y = torch.zeros_like(y0) if given.of_last is None else given.of_last.clone()
    by_slope = torch.empty_like(slope)
    for n in reversed(range(len(slope))):
        by_y = by_y if given.of_saved is None else by_y + given.of_saved[n]
        by_slope[n] = dt * (1 - slope[n].square()) * by_y
        by_y = by_y + by_slope[n] @ k
    flat, nothing = by_slope.flatten(0, 1), y0.new_empty(0)
    by_x = by_slope @ v if wants.samples else nothing
    of_weights = (flat.T @ before.flatten(0, 1), flat.T @ x.flatten(0, 1), flat.sum(0))
    return (by_y, *of_weights, by_x, *(nothing.clone() for _ in range(5)))


@dataclass(frozen=True)
class Loop(Engine):
    """A loop."""

    name: ClassVar[str] = "loop"
    namespace: ClassVar[str] = "odernn_tests_loop"

    def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
        """It takes what the functions above are written for."""
        assert asked, "it is not in ENGINES"
        activation = activation_of(problem.field)
        if problem.solver != Euler() or problem.substeps != 1 or not isinstance(problem.step, float):
            return "the loop takes Euler's steps of one length"
        if activation is None or activation.name != "tanh" or not problem.hold.jumps:
            return "the loop knows tanh, held between samples"
        if problem.control.weight is None or problem.control.squashed:
            return "the loop maps the input itself"
        return None if problem.y0.dtype == torch.float64 else "the loop works in float64"

    def account(self, problem: RecurrentProblem) -> str:
        """The field's name, too."""
        return f"the loop takes {type(problem.field).__name__}"


@cache
def loop() -> Loop:
    """The engine, its operators registered once."""
    register_engine(Loop.namespace, solve, pull_back)
    return Loop()
