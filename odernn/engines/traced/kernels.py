"""Kernels of a field of one's own: compiled when asked for, and used as long as the field is what they were made of."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import final

import torch
from torch import Tensor

from ...fields.contract import broken_promise, halves_agree, undisturbed
from ...fields.field import KERNELS, AffinePointwiseField, VectorField
from ...fields.overrides import is_affine, why_called
from ..method import EULER
from ..native.build import NativeUnavailable, load_field
from ..operators import PULL_BACK, SOLVE, register_rules
from ..program import Call
from ..warning import EngineWarning
from .emit import emit
from .facts import facts_of, same_facts, sizes_of
from .pending import Build
from .trace import Trace, TracedRate, UntraceableError
from .tracing import state_of, trace


@final
@dataclass(frozen=True, slots=True)
class FieldKernels:
    """The operators of a field.

    Attributes:
        namespace: in torch.ops.
        numbers: (parameters and buffers) -> the numbers of the units (numbers, n), with a graph; or None.
        preactivations: entries of a unit's preactivation.
        controls: entries of a unit's control.
        halves: whether the state is two halves whose drift and kick are what `pointwise` says of them.
        facts: what the field was when they were made.
    """

    namespace: str
    numbers: Callable[..., Tensor] | None
    preactivations: int
    controls: int
    halves: bool
    facts: list[object]

    def numbers_of(self, field: AffinePointwiseField) -> Tensor | None:
        """The numbers of the units, made of the field's parameters as they are now."""
        return None if self.numbers is None else self.numbers(*state_of(field).values())


@final
@dataclass(frozen=True, slots=True)
class Traced:
    """What kernels are made of: a field's elementwise part, and the facts that `FieldKernels` has too."""

    trace: Trace
    preactivations: int
    controls: int
    halves: bool
    facts: list[object]
    like: Tensor


@final
@dataclass(frozen=True, slots=True)
class Pending:
    """Kernels that a thread builds."""

    traced: Traced
    build: Build


def compile_kernels(field: VectorField, *, wait: bool = True) -> None:
    """Build the native kernels of a field from its `pointwise`, and remember them with it.

    Args:
        field: the field.
        wait: build now; else a thread builds, and the first use after that takes the kernels.

    Raises:
        ValueError: why it has none, in a sentence.
        NativeUnavailable: the compiler fails, or there is none.
    """
    traced = traced_of(field)
    if wait:
        vars(field)[KERNELS] = _made(field, traced, load_field(emit(traced.trace)))
    else:
        vars(field)[KERNELS] = Pending(traced, Build(emit(traced.trace)))


def kernels_of(field: VectorField) -> FieldKernels | None:
    """The kernels that were compiled for the field, or None where there are none or the field has changed."""
    kernels = vars(field).get(KERNELS)
    if isinstance(kernels, Pending):
        kernels = _taken(field, kernels)
    if not isinstance(kernels, FieldKernels) or any(why_called(each) is not None for each in field.modules()):
        return None
    return kernels if same_facts(facts_of(field), kernels.facts) else None


def _taken(field: VectorField, pending: Pending) -> FieldKernels | None:
    """The kernels of a build that is done, from now on the field's; None while it runs, or where it failed."""
    if not pending.build.is_done or not same_facts(facts_of(field), pending.traced.facts):
        return None
    del vars(field)[KERNELS]
    try:
        kernels = vars(field)[KERNELS] = _made(field, pending.traced, pending.build.namespace())
    except (ValueError, NativeUnavailable) as error:
        warnings.warn(f"{type(field).__name__} goes on in torch: {error}", EngineWarning, stacklevel=2)
        return None
    return kernels


def traced_of(field: VectorField) -> Traced:
    """The field's elementwise part.

    Raises:
        ValueError: there can be no kernels of it.
    """
    name = type(field).__name__
    if not isinstance(field, AffinePointwiseField) or not is_affine(field):
        raise ValueError(f"{name} has no kernels: it is not, or is not only, an affine-pointwise field")
    preactivations, controls, like = sizes_of(field)
    if preactivations % field.hidden_size or controls % field.hidden_size:
        raise ValueError(f"{name} has no kernels: its control or its preactivation is not a multiple of the state")
    weight = like.new_zeros(preactivations, field.hidden_size)
    if (broken := broken_promise(field, weight, controls, like)) is not None:
        raise ValueError(f"{name} has no kernels: {broken}")
    groups = preactivations // field.hidden_size, controls // field.hidden_size
    try:
        found = trace(field, *groups, like)
    except UntraceableError as error:
        raise ValueError(f"{name} has no kernels: {error.reason}") from error
    return Traced(found, *groups, halves_agree(field, like), facts_of(field), like)


def _made(field: VectorField, traced: Traced, namespace: str) -> FieldKernels:
    """The kernels in a namespace, checked against the field.

    Raises:
        ValueError: they have other values.
    """
    assert isinstance(field, AffinePointwiseField)
    _register(TracedRate(namespace, traced.trace))
    sizes = traced.preactivations, traced.controls
    kernels = FieldKernels(namespace, traced.trace.numbers, *sizes, traced.halves, traced.facts)
    if not _agree(field, kernels, traced.like):
        raise ValueError(
            f"{type(field).__name__} has no kernels: its `pointwise` has other values or gradients than the operators "
            "in it, as with `detach`, `no_grad` or a torch.autograd.Function of its own"
        )
    return kernels


def _agree(field: AffinePointwiseField, kernels: FieldKernels, like: Tensor) -> bool:
    """Whether a step of Euler's method and its gradients are, to rounding, those of `pointwise` under autograd."""
    n, p, c = field.hidden_size, kernels.preactivations * field.hidden_size, kernels.controls * field.hidden_size
    with undisturbed(field, like), torch.enable_grad():
        y, weight, u = (_wave(like, *shape).requires_grad_() for shape in ((2, n), (p, n), (2, c)))
        numbers = kernels.numbers_of(field)
        flat = u.new_empty(0) if numbers is None else numbers.flatten()
        samples = torch.cat((u, flat.expand(2, -1)), dim=-1).unsqueeze(0)
        call = Call(y0=y, weight=weight, samples=samples, method=EULER, dt=1.0, kind="traced")
        ours = getattr(torch.ops, kernels.namespace).solve(*call.arguments(), True)[1]
        theirs = y + field.pointwise(y.clone(), y @ weight.T, u.clone())
        leaves = [y, weight, u, *field.parameters()]
        found = [_values_and_gradients(one, leaves) for one in (ours, theirs)]
    bound = torch.finfo(like.dtype).eps ** 0.6  # sums of n terms, and functions that are off by a few units
    return all(
        torch.allclose(one, other, rtol=bound, atol=bound, equal_nan=True) for one, other in zip(*found, strict=True)
    )


def _values_and_gradients(y: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """The state, and the gradients of a weighted sum of it, zeros by what does not enter."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    gradients = torch.autograd.grad(y, wanted, _wave(y, *y.shape), allow_unused=True)
    zeros = (torch.zeros_like(leaf) if one is None else one for one, leaf in zip(gradients, wanted, strict=True))
    return [y.detach(), *zeros]


def _wave(like: Tensor, *shape: int) -> Tensor:
    """Numbers between -1 and 1 without a pattern."""
    place = torch.arange(prod(shape), dtype=torch.float64)
    return torch.sin(place * place * 0.37 + 1).to(like).reshape(shape)


@cache
def _register(rate: TracedRate) -> None:
    """Tell torch the schemas, shapes and gradients of the operators."""
    for name, schema in (("solve", SOLVE), ("pull_back", PULL_BACK)):
        torch.library.define(f"{rate.namespace}::{name}", schema)
    register_rules(rate.namespace, rate)
