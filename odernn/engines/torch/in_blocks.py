"""The torch engine's operators in blocks of intervals, each continuing where the one before ended, and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..linear_method import Role, linear_method
from ..operators import Cotangents, Wants
from ..program import Operands, Program
from .input_gradients import InputGradients
from .operators import Arguments

Operator = Callable[..., tuple[Tensor, ...]]


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


def starts_anywhere(operands: Operands, program: Program) -> bool:
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
