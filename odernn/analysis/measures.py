"""What a diagnosis measures along a trajectory: stability, growth of the field, and the end-to-end Jacobian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log10

import torch
from torch import Tensor

from odernn import VectorField

from .jacobian import Conditioning, conditioning
from .matrices import eigenvalues
from .spectrum import jacobians_along, scaled
from .stability import ROUNDING, amplification
from .subject import Subject
from .transition import start, transition


@dataclass(frozen=True, slots=True)
class Measures:
    """The numbers of a diagnosis.

    Attributes:
        samples: the samples of the sequence that were finite and so looked at.
        steps: the solver steps that they are.
        outside: the share of the eigenvalues, 0 to 1, that lie outside the solver's stability region although the field
            does not make their modes grow.
        growth: the largest |R(z)| of a mode that the field does not make grow.
        turning: the largest |z|: about 1 and above, the fastest mode is not resolved.
        growing: the share of the eigenvalues whose real part is above zero: the field itself makes their modes grow.
        rate: the largest real part, in units of 1 / time.
        conditioning: of the end-to-end Jacobian; None if that is not finite.
    """

    samples: int
    steps: int
    outside: float
    growth: float
    turning: float
    growing: float
    rate: float
    conditioning: Conditioning | None

    @property
    def decades(self) -> float:
        """By how many powers of ten the fastest mode would grow over the sequence, if it did so in every step."""
        return self.steps * log10(self.growth) if self.growth > 0 else -inf


@dataclass(frozen=True, slots=True)
class Modes:
    """The eigenvalues that a diagnosis looks at.

    Attributes:
        values: of df/dy, in units of 1 / time.
        z: the same times the step of the solver.
        rounding: how far the real parts may be off, relative to the largest modulus.
    """

    values: Tensor
    z: Tensor
    rounding: float

    @property
    def growing(self) -> Tensor:
        """Which modes the field itself makes grow: a real part above zero by more than rounding."""
        return self.values.real > self._noise

    @property
    def others(self) -> Tensor:
        """The z of the modes that a solver ought to hold, (count,), without real parts that are rounding.

        A neutral method is neutral on the imaginary axis only, so a real part of either sign would tell against it.
        """
        z = self.z[~self.growing]
        real = torch.where(self.values.real[~self.growing].abs() <= self._noise, 0, z.real)
        return torch.complex(real, z.imag)

    @property
    def _noise(self) -> Tensor:
        return self.rounding * self.values.abs().max()


def modes(subject: Subject, at: Sequence[int], field: VectorField) -> Modes:
    """The eigenvalues of `field` at the samples `at`."""
    jacobians = jacobians_along(subject, field, at)
    values = eigenvalues(jacobians)
    # The factorisation is exact for a matrix that is off by some eps times its norm; the norm is at most sqrt(n) times
    # the largest modulus for the matrices of this family, and 10 covers what is added up.
    rounding = 10 * jacobians.shape[-1] ** 0.5 * torch.finfo(jacobians.dtype).eps
    return Modes(values, scaled(subject, values, at), rounding)


def measure(subject: Subject, found: Modes) -> Measures:
    """The numbers of the network along the whole of `subject`, with the eigenvalues that were found."""
    gains = amplification(subject.rnn.solver, found.others)
    count = found.z.numel()
    return Measures(
        samples=subject.length,
        steps=subject.length * subject.rnn.substeps,
        outside=int((gains > 1 + ROUNDING).sum()) / count,
        growth=float(gains.max()) if len(gains) else 0.0,
        turning=float(found.z.abs().max()),
        growing=int(found.growing.sum()) / count,
        rate=float(found.values.real.max()),
        conditioning=_conditioning(subject),
    )


def _conditioning(subject: Subject) -> Conditioning | None:
    jacobian = transition(subject, start(subject), 0, subject.length)
    return conditioning(jacobian.cpu().double()) if bool(torch.isfinite(jacobian).all()) else None
