"""What torch must know of the operators: shapes for tracing, gradients, and autocast. The same for every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autocast, register_autograd, register_fake

from .linear_method import LinearMethod, linear_method, vectors_at_end
from .method import Method
from .written import counted

TENSORS = 10
"""The tensors of which there is a gradient; they come first among the common arguments."""
FACTS = 10
"""The numbers and names that follow them; after these come `LENGTHS` common arguments that say where samples lie."""
LENGTHS = 3

COMMON = (
    "Tensor y0, Tensor weight, Tensor samples, Tensor? input_weight, Tensor? bias, Tensor? before, Tensor dt, "
    "Tensor? carried, Tensor? coefficients, Tensor? blocks, str kind, str squash, str hold, str family, float[] a, "
    "float[] b, float[] c, int[] moved, int[] places, int substeps, Tensor? index, Tensor? lengths, "
    "bool packed"
)
SOLVE = f"({COMMON}, bool save) -> (Tensor, Tensor, Tensor, Tensor)"
PULL_BACK = (
    f"(Tensor saved, Tensor kept, Tensor? grad_saved, Tensor? grad_last, Tensor? grad_carried, {COMMON}, "
    f"bool want_samples, bool want_dt) -> ({', '.join(['Tensor'] * TENSORS)})"
)

TORCH, NATIVE, TRITON = "odernn_torch", "odernn_native", "odernn_triton"
DEVICES = ("cpu", "cuda")
"""Where autocast is told of the operators; they work in float32 inside it. torch before 2.12 refuses any other name."""


def register_engine(namespace: str, solve: Callable[..., Any], pull_back: Callable[..., Any]) -> None:
    """Define an engine's two operators in torch.ops, with their rules.

    Args:
        namespace: of the operators.
        solve: takes what the schema says up to `substeps`, and what comes after `packed`: sequences of one length.
        pull_back: likewise.
    """
    define_engine(namespace, of_one_length(namespace, solve, 1), of_one_length(namespace, pull_back, 2))


def define_engine(namespace: str, solve: Callable[..., Any], pull_back: Callable[..., Any]) -> None:
    """The same of functions that take all that the schemas say."""
    for name, schema, function in (("solve", SOLVE, solve), ("pull_back", PULL_BACK, pull_back)):
        torch.library.define(f"{namespace}::{name}", schema)
        torch.library.impl(f"{namespace}::{name}", "CompositeExplicitAutograd", function)
    register_rules(namespace)


def of_one_length(namespace: str, function: Callable[..., Any], after: int) -> Callable[..., Any]:
    """A function that takes no lengths, as one that refuses them; so many arguments come after them."""

    def call(*given: Any) -> Any:
        refuse_lengths(namespace, given[-after - 2])
        return function(*given[: -after - LENGTHS], *given[-after:])

    return call


def refuse_lengths(namespace: str, lengths: Tensor | None) -> None:
    """Only the native kernels take sequences of several lengths in one call; a layer runs them in pieces elsewhere.

    Raises:
        NotImplementedError: there are lengths.
    """
    if lengths is not None:
        raise NotImplementedError(f"the operators of {namespace} take no `lengths`; run sequences of one length")


def register_rules(namespace: str) -> None:
    """Tell torch the shapes, the gradients and the autocast rule of a namespace's operators."""
    solve, pull_back = f"{namespace}::solve", f"{namespace}::pull_back"
    register_fake(solve, _solve_shapes)
    register_fake(pull_back, _pull_back_shapes)
    register_autograd(solve, _backward_of(namespace), setup_context=_save)
    register_autograd(pull_back, _no_second_derivative)
    for device in DEVICES:
        if torch.amp.is_autocast_available(device):
            register_autocast(solve, device, torch.float32)
            register_autocast(pull_back, device, torch.float32)


def _solve_shapes(*given: Any) -> tuple[Tensor, ...]:
    _check_devices(given)
    y0, samples, vectors, coefficients, substeps, save = given[0], given[2], *given[7:9], given[19], given[-1]
    index, _, packed = given[TENSORS + FACTS : -1]
    nothing, last = y0.new_empty(0), y0.new_empty(y0.shape)
    method = linear_method_of(given)
    count = (index if packed else samples).shape[0] * (1 if method is None else substeps)
    saved = (count, *samples.shape[1:-1], y0.shape[-1])
    if method is None:
        return y0.new_empty(saved if save else (0,)), last, nothing, nothing
    there = 0 if vectors is None else len(vectors)
    carried = y0.new_empty(vectors_at_end(method, there, samples.shape[0] * substeps), *y0.shape)
    kept = method.kept(with_coefficients=coefficients is not None) if save else ()
    return y0.new_empty(saved if save else (0,)), last, carried, y0.new_empty((len(kept), *saved)) if kept else nothing


def linear_method_of(common: Sequence[Any]) -> LinearMethod | None:
    """The method of an operator's arguments, if it is a general linear one."""
    family, a, b, c, moved, places = common[13:19]
    if family != "general-linear":
        return None
    return linear_method(Method(family, tuple(a), tuple(b), tuple(c), tuple(moved), tuple(places)))


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
    y0, weight, samples, input_weight, bias, before, _, carried, coefficients, blocks = given[5 : 5 + TENSORS]
    _check_devices(given)
    *_, index, _, _, want_samples, want_dt = given
    nothing = y0.new_empty(0)
    steps = (samples.shape[0], y0.shape[0]) if index is None else index.shape
    grad_dt = y0.new_empty(steps) if want_dt else nothing
    like = (input_weight, bias, samples if want_samples else None, before)
    found = (y0, weight, *like, grad_dt, carried, coefficients, blocks)
    return tuple(nothing if one is None else torch.empty_like(one) for one in found)


def _save(ctx: Any, inputs: Sequence[Any], output: tuple[Tensor, ...]) -> None:
    *common, save = inputs
    if not save:
        raise RuntimeError("gradients are wanted of an operator that was called with `save` false; give true")
    ctx.facts, (index, lengths, ctx.packed) = common[TENSORS : TENSORS + FACTS], common[TENSORS + FACTS :]
    ctx.set_materialize_grads(False)
    saved, ctx.writes = counted(output[0])
    ctx.save_for_backward(*common[:TENSORS], index, lengths, saved, output[3])


def _backward_of(namespace: str) -> Callable[..., tuple[Tensor | None, ...]]:
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        *tensors, index, lengths, saved, kept = ctx.saved_tensors
        given = (*tensors, *ctx.facts, index, lengths, ctx.packed)
        if ctx.writes is not None and ctx.writes.has_changed():
            saved, _, _, kept = getattr(torch.ops, namespace).solve(*given, True)
        asked = ctx.needs_input_grad[:TENSORS]
        grad_outputs = [None if g is None or not g.numel() else g.contiguous() for g in gradients[:3]]
        wants = (asked[2], asked[6] or asked[8])
        found = getattr(torch.ops, namespace).pull_back(saved, kept, *grad_outputs, *given, *wants)
        y0, weight, input_weight, bias, samples, before, dt, carried, coefficients, blocks = found
        grad_dt = _by_dt(dt, tensors[6]) if asked[6] else None
        every = (y0, weight, samples, input_weight, bias, before, grad_dt, carried, coefficients, blocks)
        wanted = (one if each else None for one, each in zip(every, asked, strict=True))
        return (*wanted, *(None for _ in given[TENSORS:]), None)

    return backward


def _by_dt(gradient: Tensor, dt: Tensor) -> Tensor:
    """A gradient (time, batch), of several lengths (samples,), as one by `dt`."""
    if dt.ndim == 2:
        return gradient.T.to(dt.dtype)
    if dt.ndim < gradient.ndim:
        gradient = gradient.sum(1) if dt.ndim else gradient.sum()
    return gradient.to(dt.dtype)


def _no_second_derivative(ctx: Any, *gradients: Tensor) -> None:
    raise RuntimeError(
        "the fast engines can be differentiated once and not twice (once_differentiable); for a second derivative make "
        "the layer with adjoint='autograd'"
    )
