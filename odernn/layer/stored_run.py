"""StoredRun: what is asked of a layer over a storage that is run as a whole, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from solvers.extend import Save

from .integrator import Integrator
from .ragged import Steps
from .rows import Rows
from .state import RecurrentState


@final
@dataclass(frozen=True)
class StoredRun:
    """A run over sequences in a storage.

    Attributes:
        layer: what runs them.
        data: the storage (places, features).
        rows: where the sequences lie in it; while torch traces, their lengths are a tensor.
        steps: the steps from sample to sample, a number, or a tensor of shape () or (time, batch) by those of `rows`.
        state: before the first samples.
        save: "trajectory" or "end".
        truncate: samples between two places where gradients stop, or None.
    """

    layer: Integrator
    data: Float[Tensor, "places features"]
    rows: Rows
    steps: Steps
    state: RecurrentState
    save: Save
    truncate: int | None
