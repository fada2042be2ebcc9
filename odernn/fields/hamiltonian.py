"""A partitioned field: the Hamiltonian network, leapfrog's natural one."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from solvers.checks import check_not_negative

from ..control.input_map import AffineControl
from .activation import TANH, Activation
from .field import AffinePointwiseField
from .parametrise import Unconstrained, check_even, draw_input_map, input_map


@final
class HamiltonianField(AffinePointwiseField):
    """dq/dt = tanh(-K^T p + V_q x + b_q), dp/dt = tanh(K q + V_p x + b_p), the state being (q, p).

    Its image matrix [[0, -K^T], [K, 0]] is antisymmetric, so under a constant input c = (c_q, c_p) the flow keeps
    E = sum log cosh(K q + c_p) + sum log cosh(-K^T p + c_q), a part of q and a part of p.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 of q and n / 2 of p.
        sigma_w: K is drawn from N(0, sigma_w^2 / (n / 2)).
        sigma_v: V is drawn from N(0, sigma_v^2 / m). b is zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError: a size that is not a whole number, a scale that is not a number.
        ValueError: an odd `hidden_size`, a size below 1, a scale below zero or not finite.

    Source: Chang et al., Reversible architectures for arbitrarily deep residual neural networks (AAAI 2018), eq. (7),
    and Haber & Ruthotto, Stable architectures for deep neural networks (2017), sec. 3.2, driven by an input.
    """

    partitioned: ClassVar[bool] = True
    activation: ClassVar[Activation] = TANH
    weight_blocks = (("zero", "dense"), ("dense", "zero"))

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        sigma_w: float = 1.0,
        sigma_v: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_even("hidden_size", hidden_size)
        check_not_negative("sigma_w", sigma_w)
        self.recurrent = Unconstrained(hidden_size // 2, sigma_w, device=device, dtype=dtype)
        self.sigma_v = sigma_v
        self.input_map = input_map(input_size, hidden_size, sigma_v, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction."""
        self.recurrent.reset_parameters()
        draw_input_map(self.input_map, self.sigma_v)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch hidden"]:
        """(V_q x + b_q, V_p x + b_p)."""
        return self.input_map(x)

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=False)

    def weight(self) -> Float[Tensor, "hidden hidden"]:
        """[[0, -K^T], [K, 0]]."""
        k = self.recurrent()
        zero = torch.zeros_like(k)
        return torch.cat((torch.cat((zero, -k.T), dim=1), torch.cat((k, zero), dim=1)))

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch hidden"]:
        """tanh(p + u)."""
        return self.activation.function(p, u)

    def drift(
        self, t: object, p: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch half"]:
        """dq/dt = tanh(-K^T p + u_q)."""
        return torch.tanh(u[..., : self.hidden_size // 2] - p @ self.recurrent())

    def kick(
        self, t: object, q: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch half"]:
        """dp/dt = tanh(K q + u_p)."""
        return torch.tanh(u[..., self.hidden_size // 2 :] + F.linear(q, self.recurrent()))

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}"
