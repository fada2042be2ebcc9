"""Plan: a call prepared once and advanced by a sample at a time, its weights packed in memory of its own."""

from __future__ import annotations

import weakref
from typing import NoReturn, Self

import torch
from jaxtyping import Float
from torch import Tensor

from ..program import Call
from .build import load


class Plan:
    """The kernels, made ready for one sample a call. It keeps the weights of its making, and no gradient flows.

    It cannot be pickled: it lives in the process that made it. A copy is the plan itself, which never changes.

    Args:
        call: what to integrate. Of `y0`, `samples` (one) and `before` only the shapes and the dtype matter.

    Raises:
        NativeUnavailable, TypeError, ValueError: as `solve`, and a sequence of more than one sample.
    """

    def __init__(self, call: Call) -> None:
        load()
        self._number: int = torch.ops.odernn_native.prepare(*call.arguments())
        self._advance = torch.ops.odernn_native.advance.default
        weakref.finalize(self, torch.ops.odernn_native.release.default, self._number).atexit = False

    def advance(
        self,
        x: Float[Tensor, "batch input"],
        y: Float[Tensor, "batch state"],
        before: Float[Tensor, "batch control"] | None = None,
        carried: Float[Tensor, "vectors batch state"] | None = None,
        coefficients: Float[Tensor, "time substeps rows numbers"] | None = None,
    ) -> tuple[Tensor, Tensor, bool]:
        """One sample on from `y`.

        Args:
            x: the sample: the input, or the control, as the call's `samples` were.
            y: the state before it.
            before: linear hold: the control of the sample before; None: as this one's.
            carried: general linear method: the vectors besides `y` that are there; None to start the method.
            coefficients: the coefficients that are functions of the ratios of steps; None where all have one length.

        Returns:
            The state after the sample; the other vectors of a general linear method, else nothing; whether all of the
            state is finite.

        Raises:
            TypeError, ValueError: a tensor's dtype or shape.
        """
        return self._advance(self._number, x, y, before, carried, coefficients)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a plan of the native kernels lives in the process that made it; make it there again")
