"""Fields with a linear part in the state: what the exponential methods integrate exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from solvers.checks import check_not_negative
from solvers.extend import Time

from ..control.input_map import AffineControl
from .activation import LINEAR, LINEAR_PLUS_TANH, Activation
from .field import AffinePointwiseField
from .parametrise import SkewSymmetric, Unconstrained, damped, draw_input_map, input_map


@final
class LipschitzField(AffinePointwiseField):
    """dy/dt = A y + tanh(W y + V x + b): a linear part, plus a nonlinear one whose Lipschitz constant is that of W.

    A = (1 - beta)(M + M^T) + beta (M - M^T) - gamma I with M, beta, gamma of its own, and W likewise: beta = 1 makes
    both antisymmetric, beta = 1/2 leaves them free.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state.
        damping: gamma of A, in units of 1 / time.
        damping_w: gamma of W.
        beta: of A, from 0 to 1; the paper's lie between 1/2 and 1.
        beta_w: of W, likewise.
        sigma_a: M of A is drawn from N(0, sigma_a^2 / n).
        sigma_w: M of W is drawn from N(0, sigma_w^2 / n).
        sigma_v: V is drawn from N(0, sigma_v^2 / m). b is zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError: a size that is not a whole number, a scale that is not a number.
        ValueError: a size below 1, a scale or a damping below zero or not finite, a beta outside 0 to 1.

    Source: Erichson, Azencot, Queiruga, Hodgkinson & Mahoney, Lipschitz recurrent neural networks (ICLR 2021): its
    recurrent unit and its symmetric-skew decomposition.
    """

    activation: ClassVar[Activation] = LINEAR_PLUS_TANH

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        damping: float = 0.001,
        damping_w: float = 0.001,
        beta: float = 0.75,
        beta_w: float = 0.75,
        sigma_a: float = 1.0,
        sigma_w: float = 1.0,
        sigma_v: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_not_negative("damping", damping)
        check_not_negative("damping_w", damping_w)
        check_not_negative("sigma_a", sigma_a)
        check_not_negative("sigma_w", sigma_w)
        _check_fraction("beta", beta)
        _check_fraction("beta_w", beta_w)
        self.damping = damping
        self.damping_w = damping_w
        self.beta = beta
        self.beta_w = beta_w
        self.linear = Unconstrained(hidden_size, sigma_a, device=device, dtype=dtype)
        self.recurrent = Unconstrained(hidden_size, sigma_w, device=device, dtype=dtype)
        self.sigma_v = sigma_v
        self.input_map = input_map(input_size, hidden_size, sigma_v, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction."""
        self.linear.reset_parameters()
        self.recurrent.reset_parameters()
        draw_input_map(self.input_map, self.sigma_v)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch hidden"]:
        """Return V x + b."""
        return self.input_map(x)

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=False)

    def weight(self) -> Float[Tensor, "twice hidden"]:
        """Stack A above W."""
        return torch.cat((self._a(), self._w()))

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch twice"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch hidden"]:
        """p_1 + tanh(p_2 + u); y itself does not enter."""
        return self.activation.function(p, u)

    def semilinear(self) -> tuple[Float[Tensor, "hidden hidden"], Callable[[Time, Tensor, Tensor], Tensor]]:
        """Return A and the remainder tanh(W y + u)."""
        w = self._w()
        return self._a(), lambda t, y, u: torch.tanh(F.linear(y, w) + u)

    def extra_repr(self) -> str:
        """Sizes, dampings and betas."""
        dampings = f"damping={self.damping}, damping_w={self.damping_w}"
        return f"{self.input_size}, {self.hidden_size}, {dampings}, beta={self.beta}, beta_w={self.beta_w}"

    def _a(self) -> Float[Tensor, "hidden hidden"]:
        return damped(_blend(self.linear(), self.beta), self.damping)

    def _w(self) -> Float[Tensor, "hidden hidden"]:
        return damped(_blend(self.recurrent(), self.beta_w), self.damping_w)


@final
class LinearAntisymmetricField(AffinePointwiseField):
    """dy/dt = (W - W^T - damping I) y + tanh(V x + b): linear in the state, so implicit methods solve no equation.

    Without damping the flow turns the state and the input moves it: only the input changes |y|.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state.
        damping: in units of 1 / time.
        sigma_w: the strictly upper entries of W are drawn from N(0, sigma_w^2 / n).
        sigma_v: V is drawn from N(0, sigma_v^2 / m). b is zero.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError: a size that is not a whole number, a scale that is not a number.
        ValueError: a size below 1, a scale or a damping below zero or not finite.

    Source: Moe, Remonato, Grotli & Gravdahl, Linear antisymmetric recurrent neural networks (L4DC 2020), PMLR 120,
    170-178.
    """

    activation: ClassVar[Activation] = LINEAR

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        damping: float = 0.0,
        sigma_w: float = 1.0,
        sigma_v: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_not_negative("damping", damping)
        check_not_negative("sigma_w", sigma_w)
        self.damping = damping
        self.recurrent = SkewSymmetric(hidden_size, sigma_w, device=device, dtype=dtype)
        self.sigma_v = sigma_v
        self.input_map = input_map(input_size, hidden_size, sigma_v, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction."""
        self.recurrent.reset_parameters()
        draw_input_map(self.input_map, self.sigma_v)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch hidden"]:
        """The whole forcing, tanh(V x + b): a linear hold interpolates this."""
        return torch.tanh(self.input_map(x))

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=True)

    def weight(self) -> Float[Tensor, "hidden hidden"]:
        """Return W - W^T - damping I."""
        return damped(self.recurrent(), self.damping)

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch hidden"]:
        """p + u; y itself does not enter."""
        return self.activation.function(p, u)

    def semilinear(self) -> tuple[Float[Tensor, "hidden hidden"], Callable[[Time, Tensor, Tensor], Tensor]]:
        """Return W - W^T - damping I, and the remainder u."""
        return self.weight(), lambda t, y, u: u

    def extra_repr(self) -> str:
        """Sizes and damping."""
        return f"{self.input_size}, {self.hidden_size}, damping={self.damping}"


def _blend(m: Float[Tensor, "size size"], beta: float) -> Float[Tensor, "size size"]:
    """(1 - beta)(M + M^T) + beta (M - M^T) = M + (1 - 2 beta) M^T."""
    return m + (1 - 2 * beta) * m.T


def _check_fraction(name: str, value: float) -> None:
    check_not_negative(name, value)
    if value > 1:
        raise ValueError(f"`{name}` is {value}; give a number from 0 (symmetric) to 1 (antisymmetric)")
