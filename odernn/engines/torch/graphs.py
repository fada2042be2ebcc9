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
from dataclasses import dataclass, fields, replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from ..linear_method import Role, linear_method
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


def solve(*given: Any) -> tuple[Tensor, ...]:
    """As the operator without graphs, which runs where there is no CUDA device."""
    return solve_in_blocks(_played(operators.solve), INTERVALS, *given) if _serves(given) else operators.solve(*given)


def pull_back(*given: Any) -> tuple[Tensor, ...]:
    """The same of the gradients."""
    if not _serves(given[5:-1]) or not _can_start_anywhere(given[5:-2]):
        return operators.pull_back(*given)
    return pull_back_in_blocks(_played(operators.pull_back), INTERVALS, *given)


def solve_in_blocks(solve: Operator, intervals: int, *given: Any) -> tuple[Tensor, ...]:
    """The operator `solve` in blocks of so many intervals."""
    *common, save = given
    whole = Arguments(*common)
    saved: list[Tensor] = []
    kept: list[Tensor] = []
    y, x = whole.y0, whole.carried
    for block in _blocks(whole, whole.control(whole.samples), intervals):
        found, last, others, beside = solve(*_values(replace(block.part, y0=y, carried=x)), save)
        saved.append(found.clone())
        kept.append(beside.clone())
        y, x = last.clone(), others.clone() if others.numel() else None
    nothing = y.new_empty(0)
    beside = torch.cat(kept, dim=1) if kept[0].numel() else nothing
    return torch.cat(saved) if save else nothing, y, nothing if x is None else x, beside


def pull_back_in_blocks(pull_back: Operator, intervals: int, *given: Any) -> tuple[Tensor, ...]:
    """The operator `pull_back` in blocks of so many intervals, the last first."""
    saved, kept, grad_saved, by_last, by_others, *common, want_samples, want_dt = given
    whole = Arguments(*common)
    each = whole.substeps if whole.family == "general-linear" else 1
    u = whole.control(whole.samples)
    sums = _Sums(whole, u, bool(want_samples), bool(want_dt))
    for block in reversed(list(_blocks(whole, u, intervals))):
        first, stop = block.start * each, (block.start + len(block.part.samples)) * each
        part = block.part
        if first:
            part = replace(part, y0=saved[first - 1], carried=_carried_at(whole, saved, kept, first))
        later = None if grad_saved is None else grad_saved[first:stop]
        own = kept[:, first:stop].contiguous() if kept.numel() else kept
        found = pull_back(saved[first:stop], own, later, by_last, by_others, *_values(part), True, want_dt)
        by_last, by_others = sums.add(block, found)
    return sums.found(by_last, by_others)


def _carried_at(whole: Arguments, saved: Tensor, kept: Tensor, first: int) -> Tensor | None:
    """The vectors besides the state before solver step `first`, which is not the sequence's first."""
    if whole.family != "general-linear":
        return None
    linear = linear_method(whole.method)
    numbers = linear.kept(with_coefficients=whole.coefficients is not None)
    before = whole.y0 if first == 1 else saved[first - 2]
    others = range(1, linear.vectors)
    return torch.stack([kept[numbers.index(i), first - 1] if i in numbers else before for i in others])


def _can_start_anywhere(common: Sequence[Any]) -> bool:
    """Whether every vector of a method that carries some is saved, or is the state before."""
    whole = Arguments(*common)
    if whole.family != "general-linear":
        return True
    linear = linear_method(whole.method)
    numbers = linear.kept(with_coefficients=whole.coefficients is not None)
    return all(role == Role.STATE_BEFORE or i in numbers for i, role in enumerate(linear.roles, 1))


@dataclass(frozen=True, slots=True)
class _Block:
    """Some intervals of a sequence, their control made.

    Attributes:
        start: the number of its first interval.
        part: what the operators take, but the states that it starts from.
    """

    start: int
    part: Arguments


def _blocks(whole: Arguments, u: Tensor, intervals: int) -> Iterator[_Block]:
    """The blocks in order; `u` is the control of the samples."""
    length = len(u)
    dt = whole.dt.expand(length) if whole.dt.ndim == 0 and whole.dt.device.type != "cpu" else whole.dt
    for start in range(0, length, intervals):
        stop = min(start + intervals, length)
        before = whole.before if start == 0 else u[start - 1]
        matrices = whole.blocks
        part = replace(
            whole,
            samples=u[start:stop],
            input_weight=None,
            bias=None,
            squash="identity",
            before=before if whole.hold == "linear" else None,
            dt=dt if dt.ndim == 0 else dt[..., start:stop].contiguous(),
            coefficients=None if whole.coefficients is None else whole.coefficients[start:stop],
            blocks=matrices if matrices is None or len(matrices) == 1 else matrices[start:stop],
        )
        yield _Block(start, part)


class _Sums:
    """The gradients of a sequence, from those of its blocks."""

    def __init__(self, whole: Arguments, u: Tensor, want_samples: bool, want_dt: bool) -> None:
        self.whole = whole
        self.inputs = InputGradients(whole.control, whole.samples, want_samples)
        self.u = u
        self.by_u = torch.zeros_like(self.u)
        self.weight = torch.zeros_like(whole.weight)
        self.dt = whole.y0.new_zeros(len(self.u), len(whole.y0)) if want_dt else None
        self.blocks = None if whole.blocks is None else torch.zeros_like(whole.blocks)
        self.coefficients = None if whole.coefficients is None else torch.empty_like(whole.coefficients)
        self.before = whole.y0.new_empty(0)

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


def _values(part: Arguments) -> tuple[Any, ...]:
    return tuple(getattr(part, each.name) for each in fields(part))


def _serves(common: Sequence[Any]) -> bool:
    """Whether graphs are of use: on a CUDA device, for more than a block, and not within another's graph."""
    y0, samples = common[0], common[2]
    return (
        y0.is_cuda
        and y0.numel() > 0
        and len(samples) > INTERVALS
        and not torch.compiler.is_compiling()
        and not torch.cuda.is_current_stream_capturing()
    )


class _Graph:
    """An operator on tensors of its own."""

    def __init__(self, operator: Operator, given: Sequence[Any]) -> None:
        self._own = [each.clone() if _is_moved(each) else each for each in given]
        stream, device = torch.cuda.Stream(), next(each for each in given if isinstance(each, Tensor)).device
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            operator(*self._own)  # whatever is made at a first call is made outside of the graph
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with _no_collection(), torch.cuda.graph(self._graph):
            self._found = operator(*self._own)

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
        key = (operator, *map(_kind, given))
        with _lock:
            graph = _graphs.get(key)
            if graph is None:
                device = next(each for each in given if isinstance(each, Tensor)).device
                with torch.cuda.device(device):
                    graph = _graphs[key] = _Graph(operator, given)
            _graphs.move_to_end(key)
            if len(_graphs) > KEPT:
                _graphs.popitem(last=False)
            return graph.play(given)

    return play


def _is_moved(value: Any) -> bool:
    """Whether a value is a tensor that a graph reads from memory of its own; a number of the host is none."""
    return isinstance(value, Tensor) and value.is_cuda


def _kind(value: Any) -> Any:
    """What two calls of one graph have in common."""
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.dtype, value.device) if _is_moved(value) else float(value)
    return tuple(value) if isinstance(value, list) else value
