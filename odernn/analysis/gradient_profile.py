"""How a loss's gradient reaches back through time: the norm of dL/dy_t against t."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from odernn import ODERNN, RecurrentState

from .matrices import DIVERGED, check_finite
from .subject import Subject, check_dtype, prepare


def gradient_profile(
    rnn: ODERNN,
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    y0: Tensor | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "states batch"]:
    """The norm of dL/dy_t for every state y_t of a sequence, from y_0 to y_T.

    The derivative is the total one: what the loss sees of y_t itself, and of every later state through y_t (and through
    what a multi-step solver carries of it). It vanishes backward where the network forgets and explodes where it
    amplifies. The network runs sample by sample under autograd, in evaluation mode.

    Args:
        rnn: the layer. It is not changed.
        x: the input as the layer takes it, in its layout; a single sequence is taken as a batch of one.
        loss: from the output, the states at all samples in the layer's layout, to a number. It should be a sum over
            the sequences; of a mean each norm is smaller by the size of the batch.
        y0: the start as the layer takes it; zero if None.
        dtype: the dtype to compute in, such as torch.float64; None for the layer's own.

    Returns:
        (time + 1, batch): row t is of the state after t samples, row 0 that of the start.

    Raises:
        TypeError, ValueError: an argument of the wrong type or shape, a loss that is not one number or does not depend
            on the output, or a gradient that is not finite.
        DivergenceError: the state stopped being finite.
    """
    check_dtype(dtype)
    if not callable(loss):
        raise TypeError(f"`loss` is {type(loss).__name__}; give a function from the output to a number")
    subject = prepare(rnn, x, y0, dtype)
    with torch.enable_grad():
        states = _states(subject)
        output = torch.stack(states[1:])
        value = loss(_laid_out(output, rnn, x))
        _check_loss(value)
        gradients = torch.autograd.grad(value, states, materialize_grads=True)
    norms = torch.stack([torch.linalg.vector_norm(gradient, dim=-1) for gradient in gradients])
    check_finite("the gradient of the loss by the states", norms, DIVERGED)
    return norms


def _states(subject: Subject) -> list[Tensor]:
    """The states y_0 to y_T, each made of the one before."""
    state = RecurrentState(subject.state.y.detach().requires_grad_())
    states = [state.y]
    for index in range(subject.length):
        dt = subject.steps(index, index + 1)
        _, state = subject.rnn(subject.samples[index : index + 1], state, dt=dt, save="end")
        states.append(state.y)
    return states


def _laid_out(output: Tensor, rnn: ODERNN, x: Tensor) -> Tensor:
    """The output as the layer gives it for `x`."""
    if x.ndim == 2:
        return output.squeeze(1)
    return output.transpose(0, 1) if rnn.batch_first else output


def _check_loss(value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"`loss` returned {type(value).__name__}; it returns a tensor of one number")
    if value.numel() != 1:
        raise ValueError(f"`loss` returned the shape {tuple(value.shape)}; it returns one number, such as a sum")
    if not value.requires_grad:
        raise ValueError("`loss` returned a number without a gradient; it must depend on the output it is given")
