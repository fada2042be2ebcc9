"""The end-to-end Jacobian of a layer, dy_T / dy_0, and how well it is conditioned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from odernn import ODERNN

from .matrices import DIVERGED, check_finite, eigenvalues, singular_values
from .subject import check_dtype, prepare
from .transition import start, transition


def end_to_end_jacobian(
    rnn: ODERNN, x: Tensor, y0: Tensor | None = None, *, dtype: torch.dtype | None = None
) -> Float[Tensor, "batch hidden hidden"]:
    """The derivative dy_T / dy_0 of the last state by the first, for each sequence.

    It is the product of the Jacobians of all steps, of the network as it is run: solver, substeps and hold included. A
    multi-step or reversible solver starts from y_0, so that what it carries is part of the chain. The layer computes
    in evaluation mode, without noise and dropout. One forward and one backward pass, in which every sequence stands
    `hidden` times, make it; the adjoint is the exact one, whatever the layer's is.

    Args:
        rnn: the layer. It is not changed.
        x: the input as the layer takes it, in its layout; a single sequence makes a batch of one.
        y0: the start as the layer takes it, (1, batch, hidden), unbatched (1, hidden); zero if None.
        dtype: the dtype to compute in, such as torch.float64; None for the layer's own.

    Returns:
        (batch, hidden, hidden): row i, column j is the derivative of unit i at the end by unit j at the start.

    Raises:
        TypeError, ValueError: an argument of the wrong type or shape, or a Jacobian that is not finite.
        DivergenceError: the state stopped being finite.

    Source: Chang et al., AntisymmetricRNN (2019), sec. 5.4 and Figure 2.
    """
    check_dtype(dtype)
    subject = prepare(rnn, x, y0, dtype)
    jacobian = transition(subject, start(subject), 0, subject.length)
    check_finite("the end-to-end Jacobian", jacobian, DIVERGED)
    return jacobian


@dataclass(frozen=True, slots=True)
class Conditioning:
    """How a Jacobian stretches and turns.

    Attributes:
        singular_values: (..., n), the largest first: by how much a small change of the state grows, in the directions
            that grow most and least.
        moduli: (..., n) of the eigenvalues, the largest first: what the paper's Figure 2 draws.
    """

    singular_values: Float[Tensor, "*batch hidden"]
    moduli: Float[Tensor, "*batch hidden"]

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """The mean of the eigenvalues' moduli."""
        return self.moduli.mean(dim=-1)

    @property
    def std(self) -> Float[Tensor, "*batch"]:
        """The standard deviation of the eigenvalues' moduli, over all of them (no Bessel correction)."""
        return self.moduli.std(dim=-1, correction=0)

    @property
    def condition_number(self) -> Float[Tensor, "*batch"]:
        """The largest singular value over the smallest: 1 if every direction keeps its length."""
        return self.singular_values[..., 0] / self.singular_values[..., -1]


def conditioning(jacobian: Float[Tensor, "*batch n n"]) -> Conditioning:
    """The singular values and the moduli of the eigenvalues of square matrices.

    Args:
        jacobian: (..., n, n), such as `end_to_end_jacobian` gives.

    Raises:
        TypeError: no real floating tensor.
        ValueError: the last two dimensions are not equal, or an entry is not finite.
    """
    check_square("jacobian", jacobian)
    moduli = eigenvalues(jacobian).abs().sort(dim=-1, descending=True).values
    return Conditioning(singular_values(jacobian), moduli)


def check_square(name: str, value: object) -> None:
    """A real floating tensor of square matrices.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        what = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"`{name}` is {what}; give a real floating tensor (..., n, n)")
    if value.ndim < 2 or value.shape[-1] != value.shape[-2] or value.numel() == 0:
        raise ValueError(f"`{name}` has shape {tuple(value.shape)}; give square matrices (..., n, n)")
