"""Run: what comes out of running sequences of several lengths, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from solvers.checks import unwrapped

from .scatter import scattered
from .state import RecurrentState


@dataclass
class Run:
    """What comes out of running a batch.

    Attributes:
        state: at the end of every sequence.
        places: of the output's samples.
        outputs: at these places, (places, hidden).
        storages: or the output in storages, of which each has other samples and is zero elsewhere.
        passed: the states at the ends of the pieces, what is thrown away among them.
    """

    state: RecurrentState
    places: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    storages: list[Tensor] = field(default_factory=list)
    passed: list[Tensor] = field(default_factory=list)

    def is_finite(self) -> bool:
        """Whether the state is, wherever that was looked at; a state that has no values is."""
        ok = unwrapped(torch.cat(self.passed).isfinite().all()) if self.passed else torch.ones(())
        return ok.is_meta or bool(ok.all())  # one for each, under vmap

    def storage(self, size: int) -> Float[Tensor, "places hidden"]:
        """The output in a storage: zero at the places of no sample; what lies beyond the last place is dropped."""
        y = self.state.y
        if self.storages:
            return sum(self.storages[1:], self.storages[0])
        if not self.outputs:
            return y.new_zeros(size, y.shape[-1])
        return scattered(self.places, self.outputs, size)
