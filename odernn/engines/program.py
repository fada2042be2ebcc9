"""What an operator integrates, as values: a program without a tensor, and the tensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from solvers.extend import autocast_dtype

from ..control.time_grid import as_tensor
from .method import Method

Kind = Literal["tanh", "gated-tanh", "linear", "linear-plus-tanh"]
Squash = Literal["identity", "tanh"]
Hold = Literal["zero-order", "linear"]
Products = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Program:
    """What an operator runs, without a tensor; the attributes are those of `Call`."""

    method: Method
    kind: Kind | Literal["traced"] = "tanh"
    squash: Squash = "identity"
    hold: Hold = "zero-order"
    substeps: int = 1
    packed: bool = False
    products: Products = "float32"
    weight_blocks: tuple[int, ...] = ()
    keeps: bool = False

    @property
    def text(self) -> str:
        """The program as JSON, which is what the operators take; `read` makes it a program again."""
        return _text(self)

    @staticmethod
    def read(text: str) -> Program:
        """The program of a text."""
        return _read(text)


_NAMES = (
    *("family", "a", "b", "c", "moved", "places"),
    *("kind", "squash", "hold", "substeps", "packed", "products", "weight_blocks", "keeps"),
)


def _text(of: Program | Call) -> str:
    """The program as JSON; a call has a program's attributes."""
    method = of.method
    return _text_of(
        *(method.family, method.a, method.b, method.c, method.moved, method.places),
        *(of.kind, of.squash, of.hold, of.substeps, of.packed, of.products, of.weight_blocks, of.keeps),
    )


def _text_of(*facts: object) -> str:
    """The facts in the order of `_NAMES` as JSON."""
    return _written(facts)


# What torch.compiler.assume_constant_result does, which would import the compiler and so a second's work.
_text_of._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


@cache
def _written(facts: tuple[object, ...]) -> str:
    told = dict(zip(_NAMES, facts, strict=True))
    if told["products"] == "float32":  # every engine's; only the Triton one is ever told of another
        del told["products"]
    if not told["weight_blocks"]:  # only the engines of the CPU heed it
        del told["weight_blocks"]
    if not told["keeps"]:  # only the native engine takes it
        del told["keeps"]
    return json.dumps(told)


@cache
def _read(text: str) -> Program:
    facts = json.loads(text)
    method = Method(facts.pop("family"), *(tuple(facts.pop(name)) for name in ("a", "b", "c", "moved", "places")))
    return Program(method, weight_blocks=tuple(facts.pop("weight_blocks", ())), **facts)


class Operands(NamedTuple):
    """The tensors of a call, in the operators' order; the attributes are those of `Call`."""

    y0: Tensor
    weight: Tensor
    samples: Tensor
    input_weight: Tensor | None
    bias: Tensor | None
    before: Tensor | None
    dt: Tensor
    carried: Tensor | None = None
    coefficients: Tensor | None = None
    blocks: Tensor | None = None
    index: Tensor | None = None  # pyright: ignore[reportIncompatibleMethodOverride] - a tuple's method gives way
    lengths: Tensor | None = None


DIFFERENTIABLE = 10
"""The operands of which there is a gradient; they come first."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to integrate: dy/dt = pointwise(p, u) with p = y K^T, from y0, through all samples.

    Everything is contiguous, on one device, of one dtype; `dt` may be of another floating type. The native kernels want
    the CPU, and float32 or float64.

    Attributes:
        y0: the state before the first sample.
        weight: K.
        samples: the input x, or, without `input_weight`, the control u itself.
        method: the discretisation.
        dt: the time from one sample to the next; of several lengths a number or one for each entry of `index`.
        input_weight: V of u = squash(x V^T + b), or None.
        bias: b, or None.
        kind: "tanh": tanh(p + u); "gated-tanh": sigmoid(p + u_z) tanh(p + u_c) with u = (u_c, u_z); "linear": p + u;
            "linear-plus-tanh": p_1 + tanh(p_2 + u) with p = (p_1, p_2), so K has twice as many rows as columns.
            Partitioned methods take "tanh" only. "traced": the operators of a field of one's own, which know no other.
        squash: "identity", or "tanh", which the control goes through at the samples, before the hold. A control that
            is given (no `input_weight`) is taken as it is, and refuses "tanh".
        hold: "zero-order": the sample's control throughout; "linear": from the sample before to the sample.
        before: linear hold: the control, squashed, of the sample before the first; None: as the first sample's.
        substeps: solver steps a sample.
        carried: general linear method: the vectors besides y0 that are there; None to start the method.
        coefficients: general linear method: those of its coefficients that are functions of the ratios of steps, of the
            first substeps of each sample and of all rows or of each; None where all steps have one length.
        blocks: exponential method: the matrices that its entries name, one set for all intervals or one each.
        index: of sequences of several lengths: `samples` are rows (places, ...) in any order, and this says which of
            them each sample is, time after time, as a PackedSequence has them. Only the native kernels take it.
        lengths: samples of each sequence, the largest first.
        packed: of several lengths: whether the saved states have the order of `index`, and not that of `samples`.
        products: what the operands of the products of state and K are rounded to; another than the state's dtype is for
            the Triton kernels only.
        weight_blocks: how the halves of K's rows and columns are filled, as `weight_blocks` of the field says; one
            number, of 0 zero, 1 diagonal and 2 dense, for each half of the columns in each half of the rows. What it
            says is zero need have no gradient: the engines of the CPU, which do not multiply it either, make none but
            for kicks and drifts of a registered field. Empty: K may be anything.
        keeps: whether the half of the preactivation that a dense block of K makes is kept beside the states, so that
            the backward pass need not make that product again. Only the native engine takes it, in the kernels of a
            field's own and in an exponential method, where `weight_blocks` has one such half for all the stages of a
            sample together.
    """

    y0: Float[Tensor, "batch state"]
    weight: Float[Tensor, "preactivation state"]
    samples: Float[Tensor, "time batch input"]
    method: Method
    dt: float | Float[Tensor, ""] | Float[Tensor, " time"] | Float[Tensor, "batch time"]
    input_weight: Float[Tensor, "control input"] | None = None
    bias: Float[Tensor, " control"] | None = None
    kind: Kind | Literal["traced"] = "tanh"
    squash: Squash = "identity"
    hold: Hold = "zero-order"
    before: Float[Tensor, "batch control"] | None = None
    substeps: int = 1
    carried: Float[Tensor, "vectors batch state"] | None = None
    coefficients: Float[Tensor, "time substeps rows numbers"] | None = None
    blocks: Float[Tensor, "steps matrices 2 2 half"] | None = None
    index: Int[Tensor, " samples"] | None = None
    lengths: Int[Tensor, " batch"] | None = None
    packed: bool = False
    products: Products = "float32"
    weight_blocks: tuple[int, ...] = ()
    keeps: bool = False

    @property
    def program(self) -> Program:
        """All of it but the tensors."""
        return Program(
            *(self.method, self.kind, self.squash, self.hold, self.substeps, self.packed, self.products),
            weight_blocks=self.weight_blocks,
            keeps=self.keeps,
        )

    @property
    def operands(self) -> Operands:
        """The tensors."""
        return Operands(
            *(self.y0, self.weight, self.samples, self.input_weight, self.bias, self.before, as_tensor(self.dt)),
            *(self.carried, self.coefficients, self.blocks, self.index, self.lengths),
        )

    def arguments(self) -> tuple[Any, ...]:
        """What both operators take, in their order: `operands` and the text of `program`."""
        return (*self.operands, _text(self))


def products_around(y: Tensor) -> Products:
    """What an autocast around a call with the state `y` asks of products."""
    return "bfloat16" if autocast_dtype(y) == torch.bfloat16 else "float32"
