"""A problem stepped under autograd with other tensors in the place of its own: what is differentiated twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from solvers import LeapfrogMidpoint
from solvers.extend import Save, steps

from ..problem import LayerInputs, RecurrentProblem
from ..twice import Gates, gradients


def differentiable(
    problem: RecurrentProblem,
    save: Save,
    tensors: Sequence[Tensor | None],
    parameters: Sequence[Tensor],
    dt_previous: float | Tensor | None,
    cotangents: Sequence[Tensor | None],
    asked: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients by tensors and parameters with a graph.

    The tensors are made of the parameters; the gradient by a parameter is that by what the field reads beside them.

    Args:
        problem: the problem.
        save: what is saved of it.
        tensors: y0, the state before and the step before of the two-step rule, K, the samples, the control before the
            first and the lengths of the intervals, of this part of the sequence.
        parameters: the field's.
        dt_previous: the step before where it is not among the tensors.
        cotangents: the gradients by the last state, of the two-step rule the one before it, and the saved states.
        asked: which gradients are wanted, of the tensors and then of the parameters.
    """
    gates = Gates()
    given = gates.behind(tensors)
    found = gradients(_outcome(problem, save, given, dt_previous), cotangents, (*given, *parameters), asked)
    gates.shut = False
    return found


def _outcome(
    problem: RecurrentProblem, save: Save, given: Sequence[Tensor], dt_previous: float | Tensor | None
) -> tuple[Tensor, ...]:
    """The last state, of the two-step rule the one before it, and the states that are saved if they are asked for."""
    y0, previous, step, weight, samples, before, dt = given
    starts, window = problem.given.starts, slice(problem.origin, problem.origin + problem.length)
    part = replace(
        problem,
        layout=lambda inputs, start, stop, _: problem.layout(inputs, start, stop, problem.origin),
        inputs=LayerInputs(weight, samples, before, None if starts is None else starts[window], dt),
        y0=y0,
        carry=None if previous is None else (previous, dt_previous if step is None else step),
    )
    two_step = isinstance(problem.solver, LeapfrogMidpoint)
    every = 1 if two_step else problem.substeps
    passed = list(steps(part))
    _, last, carry = passed[-1]
    other = carry[0] if two_step else y0.new_empty(0)
    assert isinstance(other, Tensor)
    saved = torch.stack([y for _, y, _ in passed[every - 1 :: every]])
    return (last, other, saved) if save == "trajectory" else (last, other)
