"""The torch engine's operators as CUDA graphs: one launch plays what many intervals would launch one by one.

A sequence goes block by block of intervals, each continuing where the one before ended, and back likewise. A graph
plays on memory of its own, into which a block's tensors are copied; it is made at the first block of its kind and kept.
The splitting into blocks knows nothing of graphs, so that it is tested on any device.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from ..linear_method import Role, linear_method
from ..operators import Cotangents, Wants
from ..program import Operands, Program
from . import operators
from .input_gradients import InputGradients
from .operators import Arguments

Operator = Callable[..., tuple[Tensor, ...]]
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
    if not _serves(operands) or not _starts_anywhere(operands, program):
        return operators.pull_back(operands, program, given, wants)
    return pull_back_in_blocks(_played(operators.pull_back), INTERVALS, operands, program, given, wants)


def solve_in_blocks(
    solve: Operator, intervals: int, operands: Operands, program: Program, save: bool
) -> tuple[Tensor, ...]:
    """The operator `solve` in blocks of so many intervals."""
    whole = Arguments(operands, program)
    saved: list[Tensor] = []
    kept: list[Tensor] = []
    y, x = operands.y0, operands.carried
    for block in _blocks(whole, whole.control(operands.samples), intervals):
        found, last, others, beside = solve(block.operands._replace(y0=y, carried=x), block.program, save)
        saved.append(found.clone())
        kept.append(beside.clone())
        y, x = last.clone(), others.clone() if others.numel() else None
    found = (torch.cat(saved) if save else None, y, x, torch.cat(kept, dim=1) if kept[0].numel() else None)
    return tuple(y.new_empty(0) if one is None else one for one in found)


def pull_back_in_blocks(
    pull_back: Operator, intervals: int, operands: Operands, program: Program, given: Cotangents, wants: Wants
) -> tuple[Tensor, ...]:
    """The operator `pull_back` in blocks of so many intervals, the last first."""
    whole, saved = Arguments(operands, program), given.saved
    each = program.substeps if program.method.family == "general-linear" else 1
    u = whole.control(operands.samples)
    sums = _Sums(whole, u, wants)
    by_last, by_others = given.of_last, given.of_carried
    for block in reversed(list(_blocks(whole, u, intervals))):
        first, stop = block.start * each, (block.start + len(block.operands.samples)) * each
        part = block.operands
        if first:
            part = part._replace(y0=saved[first - 1], carried=_carried_at(whole, given, first))
        later = None if given.of_saved is None else given.of_saved[first:stop]
        kept = given.kept[:, first:stop].contiguous() if given.kept.numel() else given.kept
        cotangents = Cotangents(saved[first:stop], kept, later, by_last, by_others)
        found = pull_back(part, block.program, cotangents, Wants(True, wants.dt))
        by_last, by_others = sums.add(block, found)
    assert by_last is not None
    return sums.found(by_last, by_others)


def _carried_at(whole: Arguments, given: Cotangents, first: int) -> Tensor | None:
    """The vectors besides the state before solver step `first`, which is not the sequence's first."""
    operands, method = whole.operands, whole.program.method
    if method.family != "general-linear":
        return None
    linear = linear_method(method)
    numbers = linear.kept(with_coefficients=operands.coefficients is not None)
    before = operands.y0 if first == 1 else given.saved[first - 2]
    others = range(1, linear.vectors)
    return torch.stack([given.kept[numbers.index(i), first - 1] if i in numbers else before for i in others])


def _starts_anywhere(operands: Operands, program: Program) -> bool:
    """Whether every vector of a method that carries some is saved, or is the state before."""
    if program.method.family != "general-linear":
        return True
    linear = linear_method(program.method)
    numbers = linear.kept(with_coefficients=operands.coefficients is not None)
    return all(role == Role.STATE_BEFORE or i in numbers for i, role in enumerate(linear.roles, 1))


@dataclass(frozen=True, slots=True)
class _Block:
    """Some intervals of a sequence, their control made.

    Attributes:
        start: the number of its first interval.
        operands: what the operators take, but the states that it starts from.
        program: of a control that is given.
    """

    start: int
    operands: Operands
    program: Program


def _blocks(whole: Arguments, u: Tensor, intervals: int) -> Iterator[_Block]:
    """The blocks in order; `u` is the control of the samples."""
    operands, program, length = whole.operands, replace(whole.program, squash="identity"), len(u)
    dt, matrices = operands.dt, operands.blocks
    if dt.ndim == 0 and dt.device.type != "cpu":
        dt = dt.expand(length)
    for start in range(0, length, intervals):
        stop = min(start + intervals, length)
        before = operands.before if start == 0 else u[start - 1]
        part = operands._replace(
            samples=u[start:stop],
            input_weight=None,
            bias=None,
            before=before if program.hold == "linear" else None,
            dt=dt if dt.ndim == 0 else dt[..., start:stop].contiguous(),
            coefficients=None if operands.coefficients is None else operands.coefficients[start:stop].contiguous(),
            blocks=matrices if matrices is None or len(matrices) == 1 else matrices[start:stop],
        )
        yield _Block(start, part, program)


class _Sums:
    """The gradients of a sequence, from those of its blocks."""

    def __init__(self, whole: Arguments, u: Tensor, wants: Wants) -> None:
        operands = whole.operands
        self.inputs = InputGradients(whole.control, operands.samples, wants.samples)
        self.u = u
        self.by_u = torch.zeros_like(self.u)
        self.weight = torch.zeros_like(operands.weight)
        self.dt = operands.y0.new_zeros(len(self.u), len(operands.y0)) if wants.dt else None
        self.blocks = None if operands.blocks is None else torch.zeros_like(operands.blocks)
        given = operands.coefficients if wants.dt else None
        self.coefficients = None if given is None else torch.zeros_like(given)
        self.before = operands.y0.new_empty(0)

    def add(self, block: _Block, found: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Add what a block has, and give dL by its first state and by the other vectors that it began with."""
        y0, weight, _, _, by_u, before, dt, carried, coefficients, blocks = found
        start, stop = block.start, block.start + len(by_u)
        self.weight += weight
        self.by_u[start:stop] += by_u
        if self.dt is not None:
            self.dt[start:stop] += dt
        if self.blocks is not None:
            (self.blocks if len(self.blocks) == 1 else self.blocks[start:stop]).add_(blocks)
        if self.coefficients is not None:
            self.coefficients[start:stop] = coefficients
        if start == 0:
            self.before = before.clone()
        elif before.numel():
            self.by_u[start - 1] += before
        return y0.clone(), carried.clone() if carried.numel() else None

    def found(self, y0: Tensor, carried: Tensor | None) -> tuple[Tensor, ...]:
        """What the operator gives for the whole."""
        inputs, nothing = self.inputs, y0.new_empty(0)
        inputs.add(0, len(self.u), self.u, self.by_u)
        every = (
            *(y0, self.weight, inputs.weight, inputs.bias, inputs.samples, self.before, self.dt),
            *(carried, self.coefficients, self.blocks),
        )
        return tuple(nothing if one is None else one for one in every)


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
