"""The gradient rule of the operators: what `solve` saves, and whether it was written into before it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

from solvers.extend import without_autocast

from . import twice
from .program import DIFFERENTIABLE, Operands, Program
from .replay import Rate, replay


class WriteCounter:
    """Counts the writes into a tensor, and holds none of its memory.

    An engine saves its trajectory for the backward pass, and the trajectory is the layer's output. torch refuses a
    saved tensor that was written into. Here the saved one shares the memory and not the count of writes, and where the
    output was written into the backward pass makes the trajectory again.

    Args:
        x: the tensor.
    """

    def __init__(self, x: Tensor) -> None:
        self._shared = x.detach()  # it shares the count, and keeps it when its memory is replaced
        self._shared.data = x.new_empty(0)
        self._before = x._version

    def has_changed(self) -> bool:
        """Whether anybody has written into the tensor, or into a view of it, since."""
        return self._shared._version != self._before


def counted(x: Tensor) -> tuple[Tensor, WriteCounter | None]:
    """What to save of an output, and its counter; the output itself while torch traces or watches its operators."""
    if type(x) is not Tensor or _get_current_dispatch_mode() is not None:
        return x, None
    return x.data, WriteCounter(x)


def save_for_backward(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
    """Save the operands and what `solve` kept.

    Raises:
        RuntimeError: it kept nothing.
    """
    *operands, ctx.program, save = inputs
    if not save:
        raise RuntimeError("gradients are wanted of an operator that was called with `save` false; give true")
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[3])
    saved, ctx.writes = counted(output[0])
    ctx.save_for_backward(*operands, saved, output[3])


def backward_of(namespace: str, rate: Rate | None) -> Callable[..., tuple[Tensor | None, ...]]:
    """The backward pass of a namespace's `solve`, by its `pull_back`; `rate` is that of the kind "traced"."""

    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *operands, saved, kept = ctx.saved_tensors
        given = (*operands, ctx.program)
        if torch.is_grad_enabled():
            asked = ctx.needs_input_grad[: len(operands)]
            found = _differentiable(operands, Program.read(ctx.program), rate, gradients[:3], asked)
            return (*found, None, None)
        if ctx.writes is not None and ctx.writes.has_changed():
            saved, _, _, kept = getattr(torch.ops, namespace).solve(*given, True)
        asked = ctx.needs_input_grad[:DIFFERENTIABLE]
        of_saved, *at_end = [None if g is None or not g.numel() else g for g in gradients[:3]]
        grad_outputs = (of_saved, *[None if g is None else g.contiguous() for g in at_end])
        wants = (asked[2], asked[6] or asked[8])
        found = getattr(torch.ops, namespace).pull_back(saved, kept, *grad_outputs, *given, *wants)
        y0, weight, input_weight, bias, samples, before, dt, carried, coefficients, blocks = found
        grad_dt = _by_dt(dt, operands[6]) if asked[6] else None
        every = (y0, weight, samples, input_weight, bias, before, grad_dt, carried, coefficients, blocks)
        wanted = [one if each else None for one, each in zip(every, asked, strict=True)]
        return (*wanted, *[None] * len(given[DIFFERENTIABLE:]), None)

    return backward


def _differentiable(
    operands: Sequence[Tensor | None],
    program: Program,
    rate: Rate | None,
    gradients: Sequence[Tensor | None],
    asked: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients by the operands with a graph, for `create_graph=True`: by autograd, step by step.

    They are taken by other views of the operands, so that none comes by way of another that was made of it.
    """
    views = [x.view_as(x) if x is not None and each else x for x, each in zip(operands, asked, strict=True)]
    given = Operands(*views)  # pyright: ignore[reportArgumentType]
    with without_autocast(given.y0):
        outputs = replay(given, program, rate)
    return twice.gradients(outputs, gradients, views, asked)


def _by_dt(gradient: Tensor, dt: Tensor) -> Tensor:
    """A gradient (time, batch), of several lengths (samples,), as one by `dt`."""
    if dt.ndim == 2:
        return gradient.T.to(dt.dtype)
    if dt.ndim < gradient.ndim:
        gradient = gradient.sum(1) if dt.ndim else gradient.sum()
    return gradient.to(dt.dtype)


def no_second_derivative(ctx: Any, *gradients: Tensor) -> NoReturn:
    """Refuse the derivative of `pull_back`."""
    raise RuntimeError(
        "the operator `pull_back` has no derivative; for a second one of the recurrence differentiate `solve` with "
        "create_graph=True"
    )
