"""LEMField: long expressive memory, two halves with time scales of their own that state and input set."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from solvers.checks import check_not_negative
from solvers.extend import Time

from ..control.input_map import AffineControl
from .field import AffinePointwiseField
from .parametrise import check_even, draw_input_map, input_map


@final
class LEMField(AffinePointwiseField):
    """The two halves of the state (y, z), each with a gate of its own that sees y.

    dy/dt = sigmoid(W_2 y + V_2 x + b_2) (tanh(W_y z + V_y x + b_y) - y),
    dz/dt = sigmoid(W_1 y + V_1 x + b_1) (tanh(W_z y + V_z x + b_z) - z).

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 of y and n / 2 of z.
        sigma_w: W_1, W_2, W_y and W_z are drawn from N(0, sigma_w^2 / (n / 2)).
        sigma_v: the maps of the input are drawn from N(0, sigma_v^2 / m). Biases are zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: an odd `hidden_size`, a size below 1, a scale that is not a number from zero.

    Source: Rusch, Mishra, Erichson & Mahoney, Long expressive memory for sequence modeling (ICLR 2022), eq. (1).
    """

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True
    drift_sees_q: ClassVar[bool] = True
    weight_blocks = (("dense", "zero"), ("dense", "zero"), ("zero", "dense"), ("dense", "zero"))

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
        self.sigma_w, self.sigma_v = sigma_w, sigma_v
        half = hidden_size // 2
        self.gates = nn.Parameter(torch.empty(hidden_size, half, device=device, dtype=dtype))
        self.recurrent_y, self.recurrent_z = (
            nn.Parameter(torch.empty(half, half, device=device, dtype=dtype)) for _ in range(2)
        )
        for matrix in (self.gates, self.recurrent_y, self.recurrent_z):
            nn.init.normal_(matrix, std=sigma_w / sqrt(half))
        self.input_map = input_map(input_size, 2 * hidden_size, sigma_v, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction."""
        for matrix in (self.gates, self.recurrent_y, self.recurrent_z):
            nn.init.normal_(matrix, std=self.sigma_w / sqrt(self.hidden_size // 2))
        draw_input_map(self.input_map, self.sigma_v)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch twice"]:
        """V x + b for the gate of y, the gate of z, the candidate of y and the candidate of z."""
        return self.input_map(x)

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=False)

    def weight(self) -> Float[Tensor, "twice hidden"]:
        """The gates' [[W_2, 0], [W_1, 0]] above the candidates' [[0, W_y], [W_z, 0]]."""
        zero = torch.zeros_like(self.recurrent_y)
        gates = torch.cat((self.gates, torch.zeros_like(self.gates)), dim=1)
        rows = (torch.cat((zero, self.recurrent_y), dim=1), torch.cat((self.recurrent_z, zero), dim=1))
        return torch.cat((gates, *rows))

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch twice"]
    ) -> Float[Tensor, "*batch hidden"]:
        """sigmoid(p_1 + u_1) (tanh(p_2 + u_2) - y)."""
        gate, candidate = (p + u).chunk(2, dim=-1)
        return torch.sigmoid(gate) * (torch.tanh(candidate) - y)

    def drift(
        self,
        t: Time,
        q: Float[Tensor, "*batch half"],
        p: Float[Tensor, "*batch half"],
        u: Float[Tensor, "*batch twice"],
    ) -> Float[Tensor, "*batch half"]:
        """The derivative of y, which is q here; p is z."""
        return self._slope(0, self.recurrent_y, q, p, q, u)

    def kick(
        self,
        t: Time,
        q: Float[Tensor, "*batch half"],
        p: Float[Tensor, "*batch half"],
        u: Float[Tensor, "*batch twice"],
    ) -> Float[Tensor, "*batch half"]:
        """The derivative of z, which is p here; q is y."""
        return self._slope(1, self.recurrent_z, q, q, p, u)

    def _slope(self, half: int, recurrent: Tensor, gating: Tensor, source: Tensor, own: Tensor, u: Tensor) -> Tensor:
        """sigmoid(W gating + u) (tanh(recurrent source + u) - own) of one half."""
        controls = u.chunk(4, dim=-1)
        gate = torch.sigmoid(F.linear(gating, self.gates.chunk(2)[half]) + controls[half])
        return gate * (torch.tanh(F.linear(source, recurrent) + controls[2 + half]) - own)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}"
