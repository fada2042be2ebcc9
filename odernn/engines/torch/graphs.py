"""The torch engine's operators as CUDA graphs: one launch plays what many intervals would launch one by one.

`in_blocks` splits a sequence into blocks of intervals; it knows nothing of graphs, so that it is tested on any device.
A graph plays on memory of its own, into which a block's tensors are copied; it is made at the first block of its kind
and kept.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from ..operators import Cotangents, Wants
from ..program import Operands, Program
from . import operators
from .in_blocks import Operator, pull_back_in_blocks, solve_in_blocks, starts_anywhere

INTERVALS = 32
"""Intervals a block."""
KEPT = 64
"""Graphs that are kept, the latest used."""

_graphs: OrderedDict[tuple[Any, ...], _Graph] = OrderedDict()
_lock = Lock()


def solve(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
    """As the operator without graphs, which runs where there is no CUDA device."""
    if not _serves(operands):
        return operators.solve(operands, program, save)
    return solve_in_blocks(_played(operators.solve), INTERVALS, operands, program, save)


def pull_back(operands: Operands, program: Program, given: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
    """The same of the gradients."""
    if not _serves(operands) or not starts_anywhere(operands, program):
        return operators.pull_back(operands, program, given, wants)
    return pull_back_in_blocks(_played(operators.pull_back), INTERVALS, operands, program, given, wants)


def _serves(operands: Operands) -> bool:
    """Whether graphs are of use: for one network on a CUDA device, for more than a block, not in another's graph."""
    return (
        operands.y0.is_cuda
        and operands.weight.ndim == 2
        and operands.y0.numel() > 0
        and len(operands.samples) > INTERVALS
        and not torch.compiler.is_compiling()
        and not torch.cuda.is_current_stream_capturing()
    )


class _Graph:
    """An operator on tensors of its own."""

    def __init__(self, operator: Operator, given: Sequence[Any], structure: TreeSpec) -> None:
        self._own = [each.clone() if _is_moved(each) else each for each in given]
        own = tree_unflatten(self._own, structure)
        stream, device = torch.cuda.Stream(), _device(given)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            operator(*own)  # whatever is made at a first call is made outside of the graph
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with _no_collection(), torch.cuda.graph(self._graph):
            self._found = operator(*own)

    def play(self, given: Sequence[Any]) -> tuple[Tensor, ...]:
        """What the operator gives, in memory that the next call overwrites."""
        for own, each in zip(self._own, given, strict=True):
            if _is_moved(each):
                own.copy_(each)
        self._graph.replay()
        return self._found


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is collected here: a graph that is destroyed while another is captured spoils it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _played(operator: Operator) -> Operator:
    """The operator by graphs of its own, one a kind of call."""

    def play(*given: Any) -> tuple[Tensor, ...]:
        flat, structure = tree_flatten(given)
        key = (operator, *map(_kind, flat))
        with _lock:
            graph = _graphs.get(key)
            if graph is None:
                with torch.cuda.device(_device(flat)):
                    graph = _graphs[key] = _Graph(operator, flat, structure)
            _graphs.move_to_end(key)
            if len(_graphs) > KEPT:
                _graphs.popitem(last=False)
            return graph.play(flat)

    return play


def _device(given: Sequence[Any]) -> torch.device:
    return next(each.device for each in given if isinstance(each, Tensor))


def _is_moved(value: Any) -> bool:
    """Whether a value is a tensor that a graph reads from memory of its own; a number of the host is none."""
    return isinstance(value, Tensor) and value.is_cuda


def _kind(value: Any) -> Any:
    """What two calls of one graph have in common."""
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.dtype, value.device) if _is_moved(value) else float(value)
    return value
