"""Whether the Triton kernels serve a state, by a written rule."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from ..linear_method import linear_method
from ..method import Family, Method
from ..program import Products
from .layout import WORDS, Layout, Precision
from .streaming import BYTES, shared_by_tiles, stream_of

OLDEST = (8, 0)
"""The compute capability that the kernels are written for: the first with TF32 and bfloat16 products."""
WIDEST = 512
"""Units up to which the kernels stream K: the state of a row block is in registers, which hold no more."""
_PRECISIONS: dict[str, Precision] = {"highest": "tf32x3", "high": "tf32", "medium": "bf16"}
_BYTES: dict[Precision, int] = {"tf32x3": 8, "tf32": 4, "bf16": 2, "ieee": 4}
_STAGING = 24 << 10
"""Shared memory beside the weights, at most: what the tiles of a step are rearranged in."""


def precision_of(device: torch.device, products: Products = "float32") -> Precision:
    """How products round, as `torch.set_float32_matmul_precision` or autocast asks; the interpreter rounds nothing."""
    if device.type != "cuda":
        return "tf32x3"
    return "bf16" if products == "bfloat16" else _PRECISIONS[torch.get_float32_matmul_precision()]


def layout_for(
    device: torch.device,
    method: Method,
    units: int,
    groups: int,
    products: Products = "float32",
    *,
    models: bool = False,
) -> Layout:
    """The layout of the kernels on a device: K stays on the chip where it fits, and is streamed where it does not."""
    return _layout_on(device, Layout(method, units, groups, precision_of(device, products), models))


def _layout_on(device: torch.device, layout: Layout) -> Layout:
    return on_chip(layout, room_on(device)) or replace(layout, stream=stream_of(layout))


@cache
def on_chip(layout: Layout, room: int) -> Layout | None:
    """A layout with K in registers or, where it takes too many, in shared memory; None where that is too small.

    Args:
        layout: that does not say where K lies.
        room: bytes of shared memory that a program may have.
    """
    for held in (replace(layout, registers=layout.words <= WORDS), layout):
        if shared_memory(held) <= room:
            return held
    return None


def why_not(y: Tensor, method: Method, groups: int, products: Products = "float32") -> str | None:
    """Why the kernels do not serve a state like `y`, or None.

    Args:
        y: the state (batch, n).
        method: the discretisation, of which, but of a general linear one, only the family matters.
        groups: entries of a unit's preactivation.
        products: of the program.
    """
    if method.family == "general-linear" and not linear_method(method).weighs_two_states:
        return "the Triton kernels take methods that carry the state only, or weigh two states and one slope"
    if y.dtype != torch.float32:
        return f"the Triton kernels work in float32, and the state is {y.dtype}"
    if not y.numel():
        return "the batch is empty"
    return _why_not_there(str(y.device), method.family, y.shape[-1], groups, products)


def _why_not_there(place: str, family: Family, units: int, groups: int, products: Products) -> str | None:
    """Why the kernels do not serve a number of units on a device, or None. Of numbers and names, for torch.compile."""
    if (reason := _why_unavailable()) is not None:
        return reason
    device = torch.device(place)
    if device.type != "cuda":
        return None if is_interpreted() else f"the Triton kernels work on a CUDA device, and the state is on {place}"
    return _why_not_on(device, family, units, groups, precision_of(device, products))


@cache
def _why_not_on(device: torch.device, family: Family, units: int, groups: int, precision: Precision) -> str | None:
    if (capability := torch.cuda.get_device_capability(device)) < OLDEST:
        return f"the Triton kernels want compute capability 8.0, and {device} has {'.'.join(map(str, capability))}"
    return _why_too_wide(device, _layout_on(device, Layout(Method(family), units, groups, precision)))


def residence(y: Tensor, method: Method, groups: int, products: Products = "float32") -> str:
    """Where K lies while the kernels run a state like `y`, which they take, and why: a clause."""
    return _residence_there(str(y.device), method.family, y.shape[-1], groups, products)


def _residence_there(place: str, family: Family, units: int, groups: int, products: Products) -> str:
    device = torch.device(place)
    layout = layout_for(device, Method(family), units, groups, products)
    if layout.stream is None:
        return "K stays on the chip"
    return f"K is spread over idle processors or read from L2 in every product, as {_too_large(device, layout)}"


# What torch.compiler.assume_constant_result does, which would import the compiler and so a second's work.
_why_not_there._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]
_residence_there._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def shared_memory(layout: Layout) -> int:
    """Bytes of shared memory that a program needs, at most."""
    if layout.stream is not None:
        return shared_by_tiles(layout, layout.stream)
    block = layout.whole * layout.padded
    if layout.registers:  # the blocks of K pass through it, one after the other
        return block * BYTES[layout.precision] + _STAGING
    state = 2 * layout.whole * layout.rows * BYTES[layout.precision] if layout.spread > 1 else 0
    return sum(1 for _ in layout.blocks()) * block * _BYTES[layout.precision] + state + _STAGING


def is_interpreted() -> bool:
    """Whether Triton's interpreter is asked for: its kernels then run on the host, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _why_too_wide(device: torch.device, layout: Layout) -> str | None:
    if layout.stream is None:
        return None
    if layout.units > WIDEST:
        return f"{_too_large(device, layout)}, and the kernels stream it up to {WIDEST} units"
    needed, given = shared_memory(layout), room_on(device)
    if needed <= given:
        return None
    return (
        f"to stream K of {layout.units} units takes {needed >> 10} kB of shared memory, and {device} has {given >> 10}"
    )


def _too_large(device: torch.device, layout: Layout) -> str:
    """That K does not fit on the chip, in a clause."""
    needed, given = shared_memory(replace(layout, stream=None)), room_on(device)
    return (
        f"K of {layout.units} units in {layout.precision} would take {needed >> 10} kB of shared memory, and {device} "
        f"has {given >> 10} kB a block"
    )


@cache
def room_on(device: torch.device) -> int:
    """Bytes of shared memory that a program may have; the interpreter has no bound."""
    if device.type != "cuda":
        return sys.maxsize
    return torch.cuda.get_device_properties(device).shared_memory_per_block_optin


@cache
def _why_unavailable() -> str | None:
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed: pip install 'odernn[triton]'"
    if not torch.cuda.is_available() and not is_interpreted():
        return "Triton is installed and there is no CUDA device"
    return None
