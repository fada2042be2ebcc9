"""The engines' operators, and what torch must know of them: schemas, shapes for tracing, gradients, and autocast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.library import register_autocast, register_fake

from .autograd_kernel import register_backward
from .flops import register_formulas
from .gradient import backward_of, no_second_derivative, save_for_backward
from .linear_method import linear_method, vectors_at_end
from .mapping import map_in_turn
from .program import DIFFERENTIABLE, Operands, Program
from .replay import Rate

OPERANDS = (
    "Tensor y0, Tensor weight, Tensor samples, Tensor? input_weight, Tensor? bias, Tensor? before, Tensor dt, "
    "Tensor? carried, Tensor? coefficients, Tensor? blocks, Tensor? index, Tensor? lengths"
)
SOLVE = f"({OPERANDS}, str program, bool save) -> (Tensor, Tensor, Tensor, Tensor)"
PULL_BACK = (
    f"(Tensor saved, Tensor kept, Tensor? grad_saved, Tensor? grad_last, Tensor? grad_carried, {OPERANDS}, "
    f"str program, bool want_samples, bool want_dt) -> ({', '.join(['Tensor'] * DIFFERENTIABLE)})"
)

TORCH, NATIVE, TRITON = "odernn_torch", "odernn_native", "odernn_triton"
DEVICES = ("cpu", "cuda")
"""Where autocast is told of the operators; they work in float32 inside it. torch before 2.12 refuses any other name."""


class Cotangents(NamedTuple):
    """What `pull_back` takes beside the call.

    Attributes:
        saved: the states that `solve` saved.
        kept: what it kept of the other vectors of a general linear method, or of a preactivation; empty if nothing.
        of_saved: the loss's gradient by them.
        of_last: by the last state, beside what `of_saved` says of it.
        of_carried: general linear method: by the other vectors at the end, likewise.
    """

    saved: Tensor
    kept: Tensor
    of_saved: Tensor | None
    of_last: Tensor | None
    of_carried: Tensor | None


class Wants(NamedTuple):
    """Which gradients `pull_back` makes beside those by y0 and the weights."""

    samples: bool
    dt: bool


Solve = Callable[[Operands, Program, bool], tuple[Tensor, ...]]
"""(operands, program, save) -> the states saved, the last, and of a general linear method the other vectors at the end
and what was kept of them, or of a preactivation; empty if absent."""
PullBack = Callable[[Operands, Program, Cotangents, Wants], tuple[Tensor, ...]]
"""The gradients by the differentiable operands, empty if absent: by y0, K, V, b, the samples, the control before,
dt (time, batch), the other vectors, the coefficients, the blocks."""


def register_engine(namespace: str, solve: Solve, pull_back: PullBack, *, any_length: bool = False) -> None:
    """Define an engine's two operators in torch.ops, once in a process, with all their rules.

    They are shapes for tracing, the gradient and the second one, autocast, the count of products, and vmap over stacked
    weights, network after network.

    Args:
        namespace: in torch.ops.
        solve: the recurrence. What it returns shares no memory with what it takes. It is called below autograd, which
            records nothing in it.
        pull_back: its gradients, likewise.
        any_length: whether they take sequences of several lengths; else they are refused.
    """
    of_one_length_only = None if any_length else namespace
    define_engine(namespace, flat_solve(solve, of_one_length_only), flat_pull_back(pull_back, of_one_length_only))
    map_in_turn(namespace)


def define_engine(namespace: str, solve: Callable[..., Any], pull_back: Callable[..., Any]) -> None:
    """The same of functions that take what the schemas say."""
    for name, schema, function in (("solve", SOLVE, solve), ("pull_back", PULL_BACK, pull_back)):
        torch.library.define(f"{namespace}::{name}", schema)
        torch.library.impl(f"{namespace}::{name}", "CompositeExplicitAutograd", function)
    register_rules(namespace)


def flat_solve(solve: Solve, of_one_length_only: str | None = None) -> Callable[..., Any]:
    """An engine's `solve` with the arguments of the schema; the engine that is named refuses lengths."""

    def call(*given: Any) -> tuple[Tensor, ...]:
        *operands, program, save = given
        return solve(_operands(operands, of_one_length_only), Program.read(program), save)

    return call


def flat_pull_back(pull_back: PullBack, of_one_length_only: str | None = None) -> Callable[..., Any]:
    """An engine's `pull_back` likewise."""

    def call(*given: Any) -> tuple[Tensor, ...]:
        *operands, program, want_samples, want_dt = given[5:]
        wants = Wants(want_samples, want_dt)
        cotangents = Cotangents(*given[:5])
        if cotangents.of_saved is not None:  # the kernels of the native engine take it as it lies
            cotangents = cotangents._replace(of_saved=cotangents.of_saved.contiguous())
        return pull_back(_operands(operands, of_one_length_only), Program.read(program), cotangents, wants)

    return call


def _operands(given: Sequence[Any], of_one_length_only: str | None) -> Operands:
    operands = Operands(*given)
    return operands if of_one_length_only is None else of_one_length(of_one_length_only, operands)


def of_one_length(namespace: str, operands: Operands) -> Operands:
    """The operands of an engine that knows no lengths; a layer runs several in pieces there.

    Raises:
        NotImplementedError: there are lengths.
    """
    if operands.lengths is not None:
        raise NotImplementedError(f"the operators of {namespace} take no `lengths`; run sequences of one length")
    return operands


def register_rules(namespace: str, rate: Rate | None = None) -> None:
    """Tell torch the shapes, the gradients and the autocast rule of a namespace's operators.

    Args:
        namespace: of the operators.
        rate: dy/dt of the kind "traced", where they know that one.
    """
    solve, pull_back = f"{namespace}::solve", f"{namespace}::pull_back"
    register_fake(solve, _shapes_of(namespace))
    register_fake(pull_back, _pull_back_shapes)
    register_formulas(namespace)
    register_backward(namespace, "solve", backward_of(namespace, rate), save_for_backward)
    register_backward(namespace, "pull_back", no_second_derivative)
    for device in DEVICES:
        if torch.amp.is_autocast_available(device):
            register_autocast(solve, device, torch.float32)
            register_autocast(pull_back, device, torch.float32)


def _shapes_of(namespace: str) -> Callable[..., tuple[Tensor, ...]]:
    """The rule for shapes of `solve`, which is asked where a program is traced: torch may count what stands in it."""

    def shapes(*given: Any) -> tuple[Tensor, ...]:
        register_formulas(namespace)
        return _solve_shapes(*given)

    return shapes


def _solve_shapes(*given: Any) -> tuple[Tensor, ...]:
    _check_devices(given)
    *tensors, text, save = given
    operands, program = Operands(*tensors), Program.read(text)
    y0, samples = operands.y0, operands.samples
    several = program.method.family == "general-linear"
    rows = operands.index if program.packed and operands.index is not None else samples
    shape = (rows.shape[0] * (program.substeps if several else 1), *samples.shape[1:-1], y0.shape[-1])
    saved = y0.new_empty(shape if save else (0,))
    if several:
        carried, kept = _carried_shapes(operands, program, shape, save)
    else:
        carried, kept = y0.new_empty(0), y0.new_empty(kept_shape(shape) if save and program.keeps else (0,))
    return saved, y0.new_empty(y0.shape), carried, kept


def kept_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """That of the half of a preactivation that is kept beside states of a shape."""
    return 1, *shape[:-1], shape[-1] // 2


def _carried_shapes(operands: Operands, program: Program, shape: tuple[int, ...], save: bool) -> tuple[Tensor, Tensor]:
    """The vectors besides the state at the end, and what is kept of them."""
    y0, method = operands.y0, linear_method(program.method)
    given = 0 if operands.carried is None else operands.carried.shape[0]
    at_end = vectors_at_end(method, given, operands.samples.shape[0] * program.substeps)
    kept = method.kept(with_coefficients=operands.coefficients is not None) if save else ()
    return (
        y0.new_empty((at_end, *y0.shape) if at_end else (0,)),
        y0.new_empty((len(kept), *shape) if kept else (0,)),
    )


def _check_devices(given: Sequence[Any]) -> None:
    """All tensors lie together, but for a scalar of the host; one on the meta device would lead here, and to no values.

    Raises:
        ValueError: one does not.
    """
    tensors = [one for one in given if isinstance(one, Tensor)]
    where = {one.device for one in tensors if one.ndim or one.device.type != "cpu"}
    if len(where) > 1:
        raise ValueError(f"the tensors of a recurrence lie on {', '.join(sorted(map(str, where)))}; move them to one")


def _pull_back_shapes(*given: Any) -> tuple[Tensor, ...]:
    _check_devices(given)
    *tensors, _, want_samples, want_dt = given[5:]
    given = Operands(*tensors)
    y0, samples = given.y0, given.samples
    nothing = y0.new_empty(0)
    steps = (samples.shape[0], y0.shape[0]) if given.index is None else given.index.shape
    grad_dt = y0.new_empty(steps) if want_dt else nothing
    like = (given.input_weight, given.bias, samples if want_samples else None, given.before)
    found = (y0, given.weight, *like, grad_dt, given.carried, given.coefficients if want_dt else None, given.blocks)
    return tuple(nothing if one is None else torch.empty_like(one) for one in found)
