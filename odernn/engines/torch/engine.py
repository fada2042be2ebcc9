"""The torch engine as a value: it runs everything, on any device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ..engine import Engine
from ..operators import TORCH
from ..problem import RecurrentProblem


@final
@dataclass(frozen=True)
class TorchEngine(Engine):
    """The recurrence in tensors; it serves where no other engine does."""

    name: ClassVar[str] = "torch"
    namespace: ClassVar[str] = TORCH

    def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
        """Never."""
        return None
