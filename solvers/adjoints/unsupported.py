"""What an adjoint that writes its own backward pass cannot do: refused, and never a wrong number."""

from __future__ import annotations

import torch

from ..loop import Problem
from ..modes import transformed


def refuse_transforms(adjoint: str, problem: Problem) -> None:
    """Refuse to run under a transform of torch.func (grad, vjp, vmap, jvp, ...) or in forward mode.

    Raises:
        NotImplementedError: there is one; the message says what to do.
    """
    if transformed(problem):
        raise NotImplementedError(
            f"the {adjoint} adjoint does not go through the transforms of torch.func (grad, vmap, jvp, ...) or "
            "through forward mode: use adjoint='autograd' there, or torch.autograd.grad and backward() in their place"
        )


def refuse_second_derivative(adjoint: str) -> None:
    """Refuse a backward pass that is to be differentiated itself. To be called first in that pass.

    torch's own once_differentiable puts an error where the graph ends, which torch.autograd.grad does not visit if it
    finds another way to what it is asked for: it then gives a part of the derivative, in silence.

    Raises:
        NotImplementedError: `create_graph=True` is asked for; the message says what to do.
    """
    if torch.is_grad_enabled():
        raise NotImplementedError(
            f"the {adjoint} adjoint has no second derivative, and `create_graph=True` asks for it: leave it out, or "
            "use adjoint='autograd'"
        )
