"""CoRNNField: coupled, damped, driven oscillators."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from solvers import BlockDiagonal
from solvers.checks import check_not_negative
from solvers.extend import Time

from ..control.input_map import AffineControl
from .activation import LINEAR_PLUS_TANH, Activation
from .field import AffinePointwiseField
from .parametrise import check_even, draw_input_map, input_map, into_second_half, under_zeros


@final
class CoRNNField(AffinePointwiseField):
    """dq/dt = p, dp/dt = tanh(W q + W_2 p + V x + b) - gamma q - epsilon p, the state being (q, p).

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 oscillators.
        gamma: the square of their frequency, in units of 1 / time^2.
        epsilon: their damping, in units of 1 / time.
        sigma_w: W and W_2 are drawn from N(0, sigma_w^2 / n).
        sigma_v: V is drawn from N(0, sigma_v^2 / m). b is zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: an odd `hidden_size`, a size below 1, a scale that is not a number from zero.

    Source: Rusch & Mishra, Coupled oscillatory recurrent neural network (ICLR 2021), eqs. (1) and (2).
    """

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True
    activation: ClassVar[Activation] = LINEAR_PLUS_TANH
    weight_blocks = (("zero", "diagonal"), ("diagonal", "diagonal"), ("zero", "zero"), ("dense", "dense"))

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        gamma: float = 1.0,
        epsilon: float = 1.0,
        sigma_w: float = 1.0,
        sigma_v: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_even("hidden_size", hidden_size)
        check_not_negative("gamma", gamma)
        check_not_negative("epsilon", epsilon)
        check_not_negative("sigma_w", sigma_w)
        self.gamma = gamma
        self.epsilon = epsilon
        self.recurrent = nn.Parameter(torch.empty(hidden_size // 2, hidden_size, device=device, dtype=dtype))
        self.sigma_w, self.sigma_v = sigma_w, sigma_v
        nn.init.normal_(self.recurrent, std=sigma_w / sqrt(hidden_size))
        self.input_map = input_map(input_size, hidden_size // 2, sigma_v, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction."""
        nn.init.normal_(self.recurrent, std=self.sigma_w / sqrt(self.hidden_size))
        draw_input_map(self.input_map, self.sigma_v)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch hidden"]:
        """(0, V x + b)."""
        return into_second_half(self.input_map(x))

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        v, b = self.input_map.weight, self.input_map.bias
        return AffineControl(under_zeros(v), into_second_half(b), squashed=False)

    def linear_blocks(self) -> BlockDiagonal:
        """A, the blocks [[0, 1], [-gamma, -epsilon]]."""
        entries = self.recurrent.new_tensor([[0.0, 1.0], [-self.gamma, -self.epsilon]])
        return BlockDiagonal(entries.unsqueeze(-1).repeat(1, 1, self.hidden_size // 2))

    def weight(self) -> Float[Tensor, "twice hidden"]:
        """A above [[0, 0], [W, W_2]]."""
        return torch.cat((self.linear_blocks().dense(), under_zeros(self.recurrent)))

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch hidden"]:
        """p_1 + tanh(p_2 + u), where p_2 and u of the first half are zero; y itself does not enter."""
        return self.activation.function(p, u)

    def drift(
        self, t: Time, p: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch half"]:
        """dq/dt = p."""
        return p

    def kick(
        self, t: Time, q: Float[Tensor, "*batch half"], p: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch half"]:
        """dp/dt = tanh(W q + W_2 p + V x + b) - gamma q - epsilon p."""
        force = torch.tanh(F.linear(torch.cat((q, p), dim=-1), self.recurrent) + u[..., self.hidden_size // 2 :])
        return force - self.gamma * q - self.epsilon * p

    def semilinear(self) -> tuple[BlockDiagonal, Callable[[Time, Tensor, Tensor], Tensor]]:
        """A, and the tanh."""
        w = under_zeros(self.recurrent)
        return self.linear_blocks(), lambda t, y, u: torch.tanh(F.linear(y, w) + u)

    def extra_repr(self) -> str:
        """Sizes, gamma and epsilon."""
        return f"{self.input_size}, {self.hidden_size}, gamma={self.gamma}, epsilon={self.epsilon}"
