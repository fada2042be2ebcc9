"""What an operator integrates, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .method import Method

Kind = Literal["tanh", "gated-tanh", "linear", "linear-plus-tanh"]
Squash = Literal["identity", "tanh"]
Hold = Literal["zero-order", "linear"]


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

    def arguments(self) -> tuple[Any, ...]:
        """What both operators take, in their order."""
        method = self.method
        return (
            *(self.y0, self.weight, self.samples, self.input_weight, self.bias, self.before),
            *(as_step(self.dt), self.carried, self.coefficients, self.blocks),
            *(self.kind, self.squash, self.hold),
            *(method.family, method.a, method.b, method.c, method.moved, method.places, self.substeps),
            *(self.index, self.lengths, self.packed),
        )


def as_step(dt: float | Tensor) -> Tensor:
    """A number as a tensor of float64, so that it is rounded once."""
    return dt if isinstance(dt, Tensor) else torch.tensor(dt, dtype=torch.float64, device="cpu")
