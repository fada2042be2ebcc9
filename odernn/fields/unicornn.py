"""UnICORNNField: undamped, independent, driven oscillators, each with a time scale of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from solvers import BlockDiagonal
from solvers.checks import check_not_negative
from solvers.extend import Time

from ..control.input_map import AffineControl
from .activation import LINEAR_PLUS_SCALED_TANH, Activation
from .field import AffinePointwiseField
from .parametrise import check_even, draw_input_map, input_map, into_second_half, under_zeros


@final
class UnICORNNField(AffinePointwiseField):
    """dq/dt = s p, dp/dt = -s (tanh(w q + V x + b) + alpha q), s = sigmoid(c), the state being (q, p).

    Oscillator i sees itself only: w and c are vectors, and the flow keeps volume under any input.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state, an even number: n / 2 oscillators.
        alpha: the square of their frequency before s, at least zero.
        sigma_w: w is drawn evenly from 0 to sigma_w, and c from -0.1 to 0.1.
        sigma_v: V is drawn from N(0, sigma_v^2 / m). b is zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: an odd `hidden_size`, a size below 1, a scale that is not a number from zero.

    Source: Rusch & Mishra, UnICORNN: a recurrent model for learning very long time dependencies (ICML 2021), eqs. (1)
    and (2), one layer.
    """

    partitioned: ClassVar[bool] = True
    activation: ClassVar[Activation] = LINEAR_PLUS_SCALED_TANH
    weight_blocks = (("zero", "diagonal"), ("diagonal", "zero"), ("zero", "zero"), ("diagonal", "zero"))

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        alpha: float = 1.0,
        sigma_w: float = 1.0,
        sigma_v: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_even("hidden_size", hidden_size)
        check_not_negative("alpha", alpha)
        check_not_negative("sigma_w", sigma_w)
        self.alpha = alpha
        self.sigma_w, self.sigma_v = sigma_w, sigma_v
        self.w = nn.Parameter(torch.empty(hidden_size // 2, device=device, dtype=dtype).uniform_(0, sigma_w))
        self.c = nn.Parameter(torch.empty_like(self.w).uniform_(-0.1, 0.1))
        self.input_map = input_map(input_size, hidden_size // 2, sigma_v, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction."""
        nn.init.uniform_(self.w, 0, self.sigma_w)
        nn.init.uniform_(self.c, -0.1, 0.1)
        draw_input_map(self.input_map, self.sigma_v)

    def time_scales(self) -> Float[Tensor, " half"]:
        """The factor s of every oscillator's time."""
        return self.c.sigmoid()

    def remainder_scale(self) -> Float[Tensor, " hidden"]:
        """What the tanh is multiplied by: (0, -s)."""
        return into_second_half(-self.time_scales())

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch hidden"]:
        """(0, V x + b)."""
        return into_second_half(self.input_map(x))

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        v, b = self.input_map.weight, self.input_map.bias
        return AffineControl(under_zeros(v), into_second_half(b), squashed=False)

    def linear_blocks(self) -> BlockDiagonal:
        """A, the blocks [[0, s], [-alpha s, 0]]."""
        s = self.time_scales()
        zero = torch.zeros_like(s)
        return BlockDiagonal(torch.stack((zero, s, -self.alpha * s, zero)).unflatten(0, (2, 2)))

    def weight(self) -> Float[Tensor, "twice hidden"]:
        """A above [[0, 0], [diag w, 0]]."""
        w = torch.diag(self.w)
        return torch.cat((self.linear_blocks().dense(), under_zeros(torch.cat((w, torch.zeros_like(w)), dim=1))))

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch hidden"]:
        """p_1 - s tanh(p_2 + u) of the second half, p_1 of the first; y itself does not enter."""
        return self.activation.function(p, u, self.remainder_scale())

    def drift(
        self, t: Time, p: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch half"]:
        """dq/dt = s p."""
        return self.time_scales() * p

    def kick(
        self, t: Time, q: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch half"]:
        """dp/dt = -s (tanh(w q + V x + b) + alpha q)."""
        return -self.time_scales() * (torch.tanh(self.w * q + u[..., self.hidden_size // 2 :]) + self.alpha * q)

    def semilinear(self) -> tuple[BlockDiagonal, Callable[[Time, Tensor, Tensor], Tensor]]:
        """A, and -s tanh(w q + V x + b) for p."""
        half, w, s = self.hidden_size // 2, self.w, self.time_scales()
        return self.linear_blocks(), lambda t, y, u: into_second_half(
            -s * torch.tanh(w * y[..., :half] + u[..., half:])
        )

    def extra_repr(self) -> str:
        """Sizes and alpha."""
        return f"{self.input_size}, {self.hidden_size}, alpha={self.alpha}"
