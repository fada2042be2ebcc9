"""What is measured of one network under one scheme."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from benchmarks.compare.schemes import Scheme


@dataclass(frozen=True)
class Dynamics:
    """What a scheme does to the network's trajectories, in float64.

    Attributes:
        distance: of the trajectories to the reference, root mean square, relative to the reference's; inf or nan
            where they are not finite.
        inside: the share of the eigenvalues times the step that lie in the scheme's stability region, 0 to 1.
        growth: the largest |R(z)| of them.
        condition: the largest singular value of the end-to-end Jacobian over the smallest; None where it is not finite.
        stretch: the largest singular value.
        moduli: of its eigenvalues.
        drift: how far the energy is off that of the flow, the largest along the way, relative to the first; None for a
            field without a known energy, or where it is not finite.
    """

    distance: float
    inside: float
    growth: float
    condition: float | None
    stretch: float | None
    moduli: Float[Tensor, " units"] | None
    drift: float | None


@dataclass(frozen=True)
class Measured:
    """A row of the comparison.

    Attributes:
        scheme: the scheme.
        engine: what executes it.
        evaluations: of f from one sample to the next.
        scores: the loss and the task's metrics on the samples; None where the network's output is not finite.
        seconds: for a sequence, of each repeat.
        dynamics: in float64.
    """

    scheme: Scheme
    engine: str
    evaluations: float
    scores: dict[str, float] | None
    seconds: tuple[float, ...]
    dynamics: Dynamics
