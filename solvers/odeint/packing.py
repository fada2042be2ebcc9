"""A state that is a tuple of tensors, as one vector and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

State = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Packing:
    """How a state becomes one tensor.

    Attributes:
        shapes: the shapes of a tuple's tensors, or None for a state that is a tensor already.
        shape: the shape of the packed state.
    """

    shapes: tuple[torch.Size, ...] | None
    shape: torch.Size

    @staticmethod
    def of(y0: State) -> Packing:
        """The packing of a state.

        Raises:
            TypeError: neither a tensor nor a tuple of tensors.
        """
        if isinstance(y0, Tensor):
            return Packing(None, y0.shape)
        if not isinstance(y0, tuple) or not y0 or not all(isinstance(part, Tensor) for part in y0):
            raise TypeError(f"`y0` is {type(y0).__name__}; give a tensor or a tuple of tensors")
        if len({part.device for part in y0}) > 1:
            raise ValueError(f"`y0` has parts on {sorted({str(part.device) for part in y0})}; give them on one device")
        return Packing(tuple(part.shape for part in y0), torch.Size([sum(part.numel() for part in y0)]))

    def pack(self, state: State) -> Tensor:
        """The state as one tensor: itself, or the parts of a tuple end to end."""
        if isinstance(state, Tensor):
            return state
        return torch.cat([part.reshape(-1) for part in state])

    def unpack(self, packed: Tensor, leading: int = 0) -> State:
        """The state again; `leading` dimensions come before its own."""
        if self.shapes is None:
            return packed
        parts = packed.split([shape.numel() for shape in self.shapes], dim=-1)
        return tuple(
            part.reshape((*packed.shape[:leading], *shape)) for part, shape in zip(parts, self.shapes, strict=True)
        )

    def wrap(self, func: Callable[[Tensor, Any], Any]) -> Callable[[Tensor, Tensor], Tensor]:
        """The right-hand side of packed states; what `func` returns is checked and gets the dtype of the state."""

        def flat(t: Tensor, y: Tensor) -> Tensor:
            return self.pack(self.like_state(func(t, self.unpack(y)), y))

        return flat

    def like_state(self, slope: Any, y: Tensor) -> Any:
        """What a right-hand side returned at the packed state `y`, in the dtype of that.

        Raises:
            TypeError, ValueError: it is not like the state, or it is complex and the state is real.
        """
        parts = tuple(slope) if self.shapes is not None and isinstance(slope, tuple | list) else (slope,)
        wanted = [tuple(shape) for shape in self.shapes or (self.shape,)]
        got = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts]
        if got != wanted:
            raise ValueError(f"`func` returned {got} and `y0` has {wanted}; dy/dt is like the state")
        for part in parts:
            if part.device != y.device:
                raise ValueError(f"`func` returned a tensor on {part.device} and `y0` is on {y.device}; dy/dt is too")
            if part.is_complex() and not y.is_complex():
                raise TypeError(
                    f"`func` returned {part.dtype} and `y0` is {y.dtype}, which would lose the imaginary part: give a "
                    "complex `y0`, or return the real part"
                )
        cast = tuple(part.to(y.dtype) for part in parts)
        return cast[0] if self.shapes is None else cast
