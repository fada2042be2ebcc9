"""A problem stepped under autograd with other tensors instead of its own: what is differentiated twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from solvers.extend import Save, steps

from ..linear_method import linear_method, step_vectors
from ..method import Method
from ..problem import LayerInputs, RecurrentProblem
from ..twice import Gates, gradients
from .control_path import ControlPath


def differentiable(
    problem: RecurrentProblem,
    method: Method,
    save: Save,
    tensors: Sequence[Tensor | None],
    parameters: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    asked: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients by tensors and parameters with a graph.

    The tensors are made of the parameters; the gradient by a parameter is that by what the field reads beside them.

    Args:
        problem: the problem.
        method: its method.
        save: what is saved of it.
        tensors: y0, the other vectors and the coefficients that are given, K, the samples, the control before the
            first and the lengths of the intervals, of this part of the sequence.
        parameters: the field's.
        cotangents: the gradients by the last state, by the other vectors at the end, and by the saved states.
        asked: which gradients are wanted, of the tensors and then of the parameters.
    """
    gates = Gates()
    given = gates.behind(tensors)
    if method.family == "general-linear":
        outcome = _outcome_of_vectors(problem, method, given)
    else:
        outcome = _outcome(problem, given)
    found = gradients(outcome[: len(cotangents)], cotangents, (*given, *parameters), asked)
    gates.shut = False
    return found


def _outcome(problem: RecurrentProblem, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The last state, nothing, and the states that are saved."""
    y0, _, _, weight, samples, before, dt = given
    starts, window = problem.given.starts, slice(problem.origin, problem.origin + problem.length)
    part = replace(
        problem,
        layout=lambda inputs, start, stop, _: problem.layout(inputs, start, stop, problem.origin),
        inputs=LayerInputs(weight, samples, before, None if starts is None else starts[window], dt),
        y0=y0,
        carry=None,
    )
    passed = list(steps(part))
    saved = torch.stack([y for _, y, _ in passed[problem.substeps - 1 :: problem.substeps]])
    return passed[-1][1], y0.new_empty(0), saved


def _outcome_of_vectors(problem: RecurrentProblem, method: Method, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The last state, the other vectors at the end, and the states that are saved."""
    y0, vectors, coefficients, weight, samples, before, dt = given
    linear, substeps = linear_method(method), problem.substeps
    step = problem.recurrence.dt if dt is None else dt.reshape(len(dt), -1, 1)
    recurrence = replace(problem.recurrence, weight=weight, samples=samples, before=before)
    path, pointwise = ControlPath(recurrence, substeps), recurrence.scheme.pointwise
    x = [y0, *(() if vectors is None else vectors.unbind(0))]
    saved: list[Tensor] = []
    for n in range(problem.length):
        for k in range(substeps):

            def slope(y: Tensor, c: float, n: int = n, k: int = k) -> Tensor:
                return pointwise(y, y @ weight.T, path.at((k + c) / substeps)[n])

            own = None if coefficients is None or k >= coefficients.shape[1] else coefficients[n, k]
            length = (step[n] if isinstance(step, Tensor) else step) / substeps
            x = step_vectors(linear.steps[len(x) - 1], own, slope, length, x)
            saved.append(x[0])
    return x[0], torch.stack(x[1:]), torch.stack(saved)
