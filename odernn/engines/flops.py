"""What torch.utils.flop_counter counts of the operators: the products of matrices in them.

A layer that is called inside of the counter goes step by step in torch's own operators, as the counter hooks all
modules. The operators themselves stand in programs that torch.export or torch.compile has traced.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from .linear_method import linear_method
from .program import Operands, Program


def register_formulas(namespace: str) -> None:
    """Tell torch.utils.flop_counter of a namespace's operators, if that module is imported."""
    if (counter := sys.modules.get("torch.utils.flop_counter")) is not None:
        register(counter, namespace)


def register(counter: Any, namespace: str) -> None:
    """Tell `counter`, which is torch.utils.flop_counter, of a namespace's operators."""
    operators = getattr(torch.ops, namespace)
    for operator, formula in ((operators.solve, _of_solve), (operators.pull_back, _of_pull_back)):
        if operator not in counter.flop_registry:
            counter.register_flop_formula(operator)(formula)


def _of_solve(*given: Any, out_shape: Any = None) -> int:
    """The products of the forward pass; of the tensors come the shapes."""
    *shapes, text, _ = given
    return _of_control(Operands(*shapes)) + _of_steps(Operands(*shapes), Program.read(text))


def _of_pull_back(*given: Any, out_shape: Any = None) -> int:
    """The products of the forward pass again, but what it kept, and the two gradients of each, by weight and factor."""
    *shapes, text, want_samples, _ = given[5:]
    operands, program = Operands(*shapes), Program.read(text)
    steps, control = 2 if program.keeps else 3, 3 if want_samples else 2
    return steps * _of_steps(operands, program) + control * _of_control(operands)


def _of_control(operands: Any) -> int:
    """The map of the input, for all samples at once."""
    if operands.input_weight is None:
        return 0
    *_, controls, inputs = operands.input_weight  # of several networks they come first
    return 2 * _samples(operands) * controls * inputs


def _of_steps(operands: Any, program: Program) -> int:
    """y K^T in every stage; kicks and drifts take one quarter of K each."""
    method, (*_, preactivations, units) = program.method, operands.weight
    stages, parts, start = len(method.b), 1, 0
    if method.family == "shears":
        parts = 4
    if method.family == "general-linear":
        linear = linear_method(method)
        given = 0 if operands.carried is None else operands.carried[0]
        stages = linear.steady.stages
        start = sum(step.stages - stages for step in linear.steps[given:-1]) * operands.y0[0]
    rows = _samples(operands) * program.substeps * stages + start
    return 2 * rows * preactivations * units // parts


def _samples(operands: Any) -> int:
    """The samples of all sequences together."""
    if operands.index is not None:
        return operands.index[0]
    return operands.samples[0] * operands.y0[0]
