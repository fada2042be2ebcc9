"""Gradients with a graph, for a backward pass that is differentiated itself (`create_graph=True`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def gradients(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    sources: Sequence[Tensor | None],
    asked: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients by the sources that are asked for, None for the others and where there is none.

    Args:
        outputs: made of the sources under autograd.
        cotangents: the gradients by them; None or an empty one is zero.
        sources: tensors.
        asked: of which of them the gradient is wanted.
    """
    pairs = [(one, g) for one, g in zip(outputs, cotangents, strict=True) if g is not None and g.numel()]
    wanted = [x for x, each in zip(sources, asked, strict=True) if each and x is not None]
    found = iter(
        torch.autograd.grad(
            *([one for one, _ in pairs], wanted, [g for _, g in pairs]), create_graph=True, allow_unused=True
        )
    )
    return [next(found) if each and x is not None else None for x, each in zip(sources, asked, strict=True)]


class Gates:
    """What stands between tensors and what is made of them, and hands no gradient back while it is shut.

    Where some sources are made of others, a gradient by the latter is wanted without what comes by way of the former.
    The graph of that gradient is differentiated after the gates are open, and then all of it counts.

    Attributes:
        shut: whether they are.
    """

    def __init__(self) -> None:
        self.shut = True

    def behind(self, tensors: Sequence[Tensor | None]) -> list[Any]:
        """The tensors behind a gate each, those that need no gradient as they are."""
        return [x if x is None or not x.requires_grad else _Gate.apply(x, self) for x in tensors]


class _Gate(torch.autograd.Function):
    """The identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gates: Gates) -> Tensor:
        ctx.gates = gates
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:  # pyright: ignore
        return None if ctx.gates.shut else gradients[0], None
