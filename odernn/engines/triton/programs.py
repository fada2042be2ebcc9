"""The programs of a launch: how many there are, how they are compiled, and the memory in which they meet."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from .availability import on_chip, room_on
from .layout import FEWEST, Layout
from .streaming import operands_of, stream_of

MOST = 16
"""Programs that share a block of rows, at most."""
NARROWEST = 32
"""Units that each of them has, at least."""


def spread_on(layout: Layout, y: Tensor, weight: Tensor) -> Layout:
    """The layout of a launch on a device: rows a program, and programs that share them.

    Args:
        layout: sizes.
        y: a state (rows, n).
        weight: K, of one network or of several.
    """
    models = _models(weight)
    return spread_over(layout, len(y) // models, models, _processors_on(y.device), room_on(y.device))


@lru_cache(maxsize=256)
def spread_over(layout: Layout, batch: int, models: int, processors: int, room: int) -> Layout:
    """The same for so many rows of each network.

    Where K fits on the chip, a program has few rows if there are processors for as many programs. Where it does not,
    as many programs share the rows of a block as the units make, and keep their part of K on the chip; or, if there are
    not the processors for that, as many as there are processors for stream it.

    Args:
        layout: sizes, and whether K is streamed.
        batch: rows of each network.
        models: networks.
        processors: programs that run at once.
        room: bytes of shared memory that a program may have.
    """
    if layout.stream is None:
        few = replace(layout, rows=FEWEST)
        return few if models * _blocks(few, batch) <= processors else layout
    every = min(MOST, layout.whole // NARROWEST)
    for rows in (FEWEST, layout.rows):
        shared = replace(layout, stream=None, rows=rows, spread=max(1, every))
        fits = every * models * _blocks(shared, batch) <= processors
        if every > 1 and fits and (held := on_chip(shared, room)) is not None:
            return held
    most = min(every, processors // (models * _blocks(layout, batch)))
    layout = replace(layout, spread=1 << max(0, most.bit_length() - 1))
    return replace(layout, stream=stream_of(layout))


def grid_of(
    layout: Layout, y: Tensor, weight: Tensor, lengths: Tensor | None
) -> tuple[tuple[int, ...], tuple[int | Tensor, ...]]:
    """The programs, and what a kernel takes besides: of several networks the rows of each, the lengths, where to meet.

    Those that share the rows of a block are next to one another.
    """
    models, further = _models(weight), () if lengths is None else (lengths,)
    blocks = _blocks(layout, len(y) // models)
    grid = (blocks * layout.spread,)
    if layout.models:
        grid, further = (*grid, models), (len(y) // models, *further)
    return grid, (*further, *scratch_for(layout, blocks * models, y))


def scratch_for(layout: Layout, blocks: int, like: Tensor) -> tuple[Tensor, ...]:
    """What kernels whose states go through memory take besides: room for them, and a counter for each block of rows."""
    if not layout.meets:
        return ()
    states = like.new_empty(blocks * 2 * layout.rows * layout.whole, dtype=operands_of(layout))
    return states, like.new_zeros(blocks, dtype=torch.int32)


def compile_options(layout: Layout) -> dict[str, Any]:
    """How a kernel is compiled and launched.

    A product and a sum may round once: said, as Triton changes its default in 3.10. Programs that wait for one another
    are launched such that all of them run at once.
    """
    return {
        "num_warps": layout.warps,
        "num_stages": 1,
        "enable_fp_fusion": True,
        "launch_cooperative_grid": layout.spread > 1,
    }


def _models(weight: Tensor) -> int:
    return 1 if weight.ndim == 2 else len(weight)


def _blocks(layout: Layout, batch: int) -> int:
    """Blocks of rows of each network."""
    return -(-batch // layout.rows)


@cache
def _processors_on(device: torch.device) -> int:
    """Programs that run at once, one a multiprocessor; the interpreter runs one after the other."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
