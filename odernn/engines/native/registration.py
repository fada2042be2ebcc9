"""The native operators as torch knows them before anything is built: an exported program can name them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..mapping import map_in_turn
from ..operators import NATIVE, define_engine, flat_pull_back, flat_solve, kept_shape
from ..program import Operands, Program
from ..torch import operators as by_torch
from ..warning import EngineWarning
from .build import NativeUnavailable, load


def _built_at_first_call(name: str, instead: Callable[..., Any]) -> Callable[..., Any]:
    """What a native operator does until its kernel is there, and on every device that has none.

    On the CPU it builds the kernels, which torch then finds first, and calls them. Elsewhere, and where they cannot be
    built, it is the torch engine's operator of the same schema: the same numbers, but for rounding.
    """

    def call(*given: Any) -> Any:
        first = next(one for one in given if isinstance(one, Tensor))
        if first.device.type != "cpu":
            return instead(*given)
        try:
            load()
        except NativeUnavailable as unavailable:
            message = f"the torch engine runs in place of the native one: {unavailable.reason}"
            warnings.warn(message, EngineWarning, stacklevel=2)
            return instead(*given)
        return getattr(torch.ops.odernn_native, name)(*given)

    return call


def solve_instead(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
    """The torch engine's, with room for the half of a preactivation that its backward pass does not read."""
    saved, last, carried, kept = by_torch.solve(operands, program, save)
    return saved, last, carried, saved.new_zeros(kept_shape(saved.shape)) if save and program.keeps else kept


def register() -> None:
    """Define the operators in torch.ops."""
    define_engine(
        NATIVE,
        _built_at_first_call("solve", flat_solve(solve_instead, NATIVE)),
        _built_at_first_call("pull_back", flat_pull_back(by_torch.pull_back, NATIVE)),
    )
    map_in_turn(NATIVE)
