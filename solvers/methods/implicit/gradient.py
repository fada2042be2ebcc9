"""Gradients of an implicit stage by the implicit function theorem: one transposed linear system, no iterations kept.

Of Y = image(Y, theta) a change of theta moves Y by (I - J)^{-1} times the change of the image at a fixed Y. So the
gradient g at Y is the gradient lambda at the image, (I - J)^T lambda = g. Source: Griewank & Walther, Evaluating
Derivatives, ch. 15.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.forward_ad import unpack_dual

from .convergence import Limits, fixed_point
from .newton import derivative, factorise
from .stage import ImplicitStage


def attach_factors(stage: ImplicitStage, y: Tensor) -> Tensor:
    """The solution `y` with its gradient, by the LU factors of the transposed system."""
    image = stage.image(y)
    return _Factored.apply(image, y, stage, *derivative(stage, y)) if image.requires_grad else y


def attach_iteration(stage: ImplicitStage, y: Tensor, limits: Limits) -> Tensor:
    """The solution `y` with its gradient, by the fixed-point iteration lambda <- g + J^T lambda.

    It forms no matrix, and converges where the fixed-point iteration of the step does. f is evaluated once more.
    """
    image = stage.image(y)
    if not image.requires_grad:
        return y
    unknown = y.detach().requires_grad_()
    limits = replace(limits, owner=f"the gradient of {limits.owner}")
    return _Iterated.apply(image, y, (stage, stage.image(unknown), unknown, limits))


def refuse_transforms(owner: str) -> None:
    """Refuse the transforms of torch.func: vmap allows no reading back, and grad asks for a graph of the backward.

    Raises:
        NotImplementedError: one is at work.
    """
    if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
        raise NotImplementedError(
            f"{owner} reads back whether its equation is solved, and does not go through the transforms of torch.func "
            "(vmap, grad, jacrev, jvp, ...): give samples as rows of one batch and use torch.autograd.grad, or use an "
            "explicit solver"
        )


def refuse_tangents(y: Tensor) -> None:
    """Refuse forward mode, whose tangents would be those of the iterations, as far as these went.

    Raises:
        NotImplementedError: `y` carries a tangent.
    """
    if unpack_dual(y).tangent is not None:
        raise NotImplementedError(
            "an implicit step has no derivative in forward mode: use backward mode (torch.autograd.grad), or an "
            "explicit solver"
        )


class _Factored(Function):
    """The stage Y as a function of the image."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, y: Tensor, stage: ImplicitStage, *parts: Tensor) -> Tensor:
        ctx.stage = replace(stage, base=stage.base.detach())
        ctx.save_for_backward(*parts)
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivatives()
        saved = ctx.saved_tensors  # once: a checkpoint gives them out a single time
        factors = factorise(saved)
        slope = ctx.stage.unpack(factors.solve_transposed(ctx.stage.pack(grads[0])))
        return (slope, None, None, *[None] * len(saved))


class _Iterated(Function):
    """The stage Y as a function of the image."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, y: Tensor, graph: tuple[ImplicitStage, Tensor, Tensor, Limits]) -> Tensor:
        ctx.graph = graph
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivatives()
        stage, image, y, limits = ctx.graph
        grad = stage.pack(grads[0])

        def residual(row: Tensor) -> Tensor:
            (pulled,) = torch.autograd.grad(
                image, y, stage.unpack(row), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            return grad + stage.pack(pulled) - row

        return stage.unpack(fixed_point(residual, grad, limits)), None, None


def _refuse_second_derivatives() -> None:
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "the gradient of an implicit step cannot be differentiated again, and `create_graph=True` asks for that: "
            "leave it out, or use an explicit solver for second derivatives"
        )
