"""Weights that are functions of parameters, and how the paper draws them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import sqrt
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from solvers.checks import check_count, check_not_negative


@final
class SkewSymmetric(nn.Module):
    """An n x n matrix W - W^T, with W stored as its n(n-1)/2 strictly upper entries.

    Args:
        size: n.
        sigma: the entries of W are drawn from N(0, sigma^2 / n).
        device: of the parameter.
        dtype: of the parameter.

    Raises:
        TypeError, ValueError: a size that is not a whole number from 1, a scale below zero or not finite.

    Source: Chang et al., AntisymmetricRNN (2019), sec. 3 (the matrix) and sec. 4 (its draw).
    """

    def __init__(
        self, size: int, sigma: float, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        check_count("size", size)
        check_not_negative("sigma", sigma)
        self.size = size
        self.sigma = sigma
        self.upper = nn.Parameter(torch.empty(size * (size - 1) // 2, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the entries again."""
        nn.init.normal_(self.upper, std=self.sigma / sqrt(self.size))

    def forward(self) -> Float[Tensor, "size size"]:
        """Return W - W^T.

        The indices are made here, not kept as buffers: they are a function of the size, and what casts, averages,
        empties or replaces a module's buffers must not change them.
        """
        n = self.size
        rows, columns = torch.triu_indices(n, n, offset=1, device=self.upper.device)
        places = torch.add(columns, rows, alpha=n)
        w = self.upper.new_zeros(n * n).scatter(0, places, self.upper).view(n, n)
        return w - w.T

    def extra_repr(self) -> str:
        """Size and sigma."""
        return f"size={self.size}, sigma={self.sigma}"


@final
class Unconstrained(nn.Module):
    """An n x n matrix W with nothing imposed on it.

    Args:
        size: n.
        sigma: the entries of W are drawn from N(0, sigma^2 / n).
        device: of the parameter.
        dtype: of the parameter.
    """

    def __init__(
        self, size: int, sigma: float, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        check_count("size", size)
        check_not_negative("sigma", sigma)
        self.size = size
        self.sigma = sigma
        self.matrix = nn.Parameter(torch.empty(size, size, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the entries again."""
        nn.init.normal_(self.matrix, std=self.sigma / sqrt(self.size))

    def forward(self) -> Float[Tensor, "size size"]:
        """Return the matrix W."""
        return self.matrix

    def extra_repr(self) -> str:
        """Size and sigma."""
        return f"size={self.size}, sigma={self.sigma}"


def input_map(
    input_size: int,
    outputs: int,
    sigma: float,
    *,
    bias: bool = True,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Linear:
    """The map V x + b, with V drawn from N(0, sigma^2 / input_size) and b zero; the paper's sigma is 1.

    Source: Chang et al., AntisymmetricRNN (2019), sec. 4.
    """
    check_not_negative("sigma_v", sigma)
    linear = nn.Linear(input_size, outputs, bias=bias, device=device, dtype=dtype)
    draw_input_map(linear, sigma)
    return linear


def check_even(name: str, size: int) -> None:
    """Refuse a state that is not two equal halves."""
    if size % 2:
        raise ValueError(f"`{name}` is {size}; the state is two equal halves (q, p): give an even number")


def into_second_half(x: Float[Tensor, "*batch half"]) -> Float[Tensor, "*batch whole"]:
    """(0, x)."""
    return torch.cat((torch.zeros_like(x), x), dim=-1)


def under_zeros(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "twice columns"]:
    """The matrix below as many rows of zeros."""
    return torch.cat((torch.zeros_like(matrix), matrix))


def draw_input_map(linear: nn.Linear, sigma: float) -> None:
    """Draw V from N(0, sigma^2 / input_size), and set b to zero."""
    nn.init.normal_(linear.weight, std=sigma / sqrt(linear.in_features))
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


def damped(weight: Float[Tensor, "size size"], damping: float) -> Float[Tensor, "size size"]:
    """The weight minus damping I."""
    if damping == 0:
        return weight
    return weight - damping * torch.eye(len(weight), device=weight.device, dtype=weight.dtype)


_BUILDING = threading.RLock()
"""Held while torch.nn.utils.parametrize caches, which it does for all threads at once."""


def built_once(module: nn.Module, *, keeps_tape: bool) -> AbstractContextManager[None]:
    """Where a parametrised weight of the module is built once, if the call `keeps_tape` of it.

    Another thread's call of a module with parametrised weights waits: torch's cache would hand it a weight with this
    call's graph.
    """
    if torch.compiler.is_compiling():
        return nn.utils.parametrize.cached() if keeps_tape else nullcontext()
    if any(map(nn.utils.parametrize.is_parametrized, module.modules())):
        return _built_alone(keeps_tape=keeps_tape)
    return nullcontext()


@contextmanager
def _built_alone(*, keeps_tape: bool) -> Iterator[None]:
    with _BUILDING, nn.utils.parametrize.cached() if keeps_tape else nullcontext():
        yield
