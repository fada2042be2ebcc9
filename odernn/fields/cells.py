"""The fields of torch's cells: one step of Euler's method with dt = 1 is the cell's update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from solvers.checks import check_choice, check_flag

from ..control.input_map import AffineControl
from .field import AffinePointwiseField

Nonlinearity = Literal["tanh", "relu"]
NONLINEARITIES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType({"tanh": torch.tanh, "relu": torch.relu})


class CellField(AffinePointwiseField):
    """A field with the parameters of a cell of torch, drawn as torch draws them. Abstract: a field has its equation.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state.
        gates: matrices of n rows that stand on each other in V and in W.
        bias: whether there are biases.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: a size that is not a whole number from 1, a flag that is not True or False.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        gates: int,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_flag("bias", bias)
        self.recurrent = nn.Linear(hidden_size, gates * hidden_size, bias=False, device=device, dtype=dtype)
        self.input_map = nn.Linear(input_size, gates * hidden_size, bias=bias, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw all parameters from a uniform distribution between -1 / sqrt(n) and 1 / sqrt(n), as torch does."""
        bound = 1 / sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch control"]:
        """V x + b."""
        return self.input_map(x)

    def affine_control(self) -> AffineControl:
        """The map of `control`."""
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=False)

    def weight(self) -> Float[Tensor, "gates_times_hidden hidden"]:
        """W."""
        return self.recurrent.weight


@final
class ElmanField(CellField):
    """dy/dt = g(W y + V x + b) - y with g = tanh or relu: Euler's method with dt = 1 is the network of torch.nn.RNN.

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state.
        nonlinearity: g, "tanh" or "relu".
        bias: whether there is a b.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: a size that is not a whole number from 1, or an unknown nonlinearity.

    Source: Elman, Finding structure in time, Cognitive Science 14 (1990); in continuous time Funahashi & Nakamura,
    Approximation of dynamical systems by continuous time recurrent neural networks, Neural Networks 6 (1993), eq. (2).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Nonlinearity = "tanh",
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, gates=1, bias=bias, device=device, dtype=dtype)
        check_choice("nonlinearity", nonlinearity, NONLINEARITIES)
        self.nonlinearity = nonlinearity
        self.reset_parameters()

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch hidden"]
    ) -> Float[Tensor, "*batch hidden"]:
        """g(p + u) - y."""
        return NONLINEARITIES[self.nonlinearity](p + u) - y

    def extra_repr(self) -> str:
        """Sizes and nonlinearity."""
        return f"{self.input_size}, {self.hidden_size}, nonlinearity={self.nonlinearity!r}"


@final
class GRUField(CellField):
    """dy/dt = (1 - z) (n - y): Euler's method with dt = 1 is the network of torch.nn.GRU.

    r = sigmoid(W_r y + V_r x + b_r), z = sigmoid(W_z y + V_z x + b_z), n = tanh(V_n x + b_n + r (W_n y + c)).

    Args:
        input_size: m, features of an input sample.
        hidden_size: n, units of the state.
        bias: whether there are biases.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        TypeError, ValueError: a size that is not a whole number from 1.

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder (2014), in the form of torch.nn.GRU,
    with the reset gate after the matrix; as an equation in time De Brouwer et al., GRU-ODE-Bayes (NeurIPS 2019),
    eq. (3).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, gates=3, bias=bias, device=device, dtype=dtype)
        self.candidate_bias: nn.Parameter | None
        candidate_bias = nn.Parameter(torch.empty(hidden_size, device=device, dtype=dtype)) if bias else None
        self.register_parameter("candidate_bias", candidate_bias)
        self.reset_parameters()

    def pointwise(
        self, y: Float[Tensor, "*batch hidden"], p: Float[Tensor, "*batch thrice"], u: Float[Tensor, "*batch thrice"]
    ) -> Float[Tensor, "*batch hidden"]:
        """(1 - z) (n - y), with p and u in the order r, z, n."""
        p_r, p_z, p_n = p.chunk(3, dim=-1)
        u_r, u_z, u_n = u.chunk(3, dim=-1)
        if self.candidate_bias is not None:
            p_n = p_n + self.candidate_bias
        candidate = torch.tanh(u_n + torch.sigmoid(p_r + u_r) * p_n)
        return torch.sigmoid(-p_z - u_z) * (candidate - y)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}"
