"""SUITE: which perturbations, at which levels. Its name and version stand in every result.

Source of the kinds: Lim, Erichson, Hodgkinson & Mahoney, Noisy recurrent neural networks (NeurIPS 2021), which perturbs
inputs at inference by white noise, multiplicative white noise, salt and pepper, and adversarially. Its program for that
is not published, so the levels, and what is not clipped, are this suite's own: see docs/robustness.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["white", "multiplicative", "salt-and-pepper", "fgsm", "pgd"]
RANDOM: tuple[Kind, ...] = ("white", "multiplicative", "salt-and-pepper")


@dataclass(frozen=True)
class Perturbation:
    """One kind of perturbation of pixels x from 0 to 1.

    Attributes:
        kind: its name.
        symbol: of its level.
        said: what it does, a sentence.
        levels: above zero, rising; level zero is the clean image.
    """

    kind: Kind
    symbol: str
    said: str
    levels: tuple[float, ...]

    @property
    def is_random(self) -> bool:
        """Whether it is drawn, and so differs from draw to draw."""
        return self.kind in RANDOM


@dataclass(frozen=True)
class Suite:
    """Perturbations that belong together.

    Attributes:
        name: of the suite.
        version: raised whenever a number of it changes: results of two versions are not comparable.
        draws: of each random perturbation at each level.
        pgd_steps: of projected gradient descent.
        pgd_share: the length of each of these, as a share of the level.
        perturbations: by kind.
    """

    name: str
    version: int
    draws: int
    pgd_steps: int
    pgd_share: float
    perturbations: Mapping[Kind, Perturbation]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name}, version {self.version}"


_ALL = (
    Perturbation(
        "white", "σ", "White noise: x + σ N(0, 1), each pixel by itself, not clipped to [0, 1].", (0.1, 0.2, 0.3)
    ),
    Perturbation(
        "multiplicative", "σ", "Multiplicative noise: x (1 + σ N(0, 1)), which leaves black black.", (0.1, 0.5, 1.0)
    ),
    Perturbation(
        "salt-and-pepper",
        "α",
        "Each pixel becomes 0 with probability α / 2 and 1 with probability α / 2.",
        (0.03, 0.05, 0.1),
    ),
    Perturbation(
        "fgsm",
        "ε",
        "One step along the sign of the loss's gradient: x + ε sign(dL/dx), not clipped.",
        (0.01, 0.05, 0.1),
    ),
    Perturbation(
        "pgd",
        "ε",
        "Ten steps of ε / 4 along that sign, from x, each projected to within ε of x; not clipped.",
        (0.01, 0.05, 0.1),
    ),
)

SUITE = Suite(
    name="pixel-noise",
    version=1,
    draws=5,
    pgd_steps=10,
    pgd_share=0.25,
    perturbations=MappingProxyType({each.kind: each for each in _ALL}),
)
