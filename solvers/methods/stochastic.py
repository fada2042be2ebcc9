"""Methods for stochastic equations dy = f(t, y) dt + g(t, y) dW with diagonal noise."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, final

import torch
from torch import Tensor

from ..arithmetic import advance, combine
from ..requirements import required_diffusion
from ..right_hand_side import Diffusion, Need, RightHandSide, Time
from ..solver import Carry, Solver
from .runge_kutta import Euler, Heun

_EULER = Euler()
_HEUN = Heun()
_SEEDS = 2**52
"""Seeds and counts are carried as floats, which hold whole numbers up to 2^53 exactly."""


@dataclass(frozen=True)
class StochasticSolver(Solver):
    """What the stochastic methods share: where the noise comes from. Abstract.

    The carry is (seed, steps taken). `init` draws the seed, from the diffusion's generator or torch's global one on
    the CPU; the noise of a step is a function of seed and count. So a step is a pure function still: an adjoint that
    repeats it meets the same noise, and a state that keeps its carry continues on the same path, however a
    sequence is split. Where the increments are given, or the diffusion is not active, the carry is ().

    The noise of a batch is drawn as one tensor: the rows of a batch of one are not those of a batch of eight.

    Attributes:
        order: that of the method without noise.
        strong_order: with noise the error of a path at a fixed time is O(dt^strong_order), in the mean.
    """

    family = "stochastic"
    needs = Need.DIFFUSION
    strong_order: ClassVar[float]

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """The seed of the noise, and no steps yet."""
        diffusion = required_diffusion(self, f)
        return _seeded(diffusion) if diffusion.active and diffusion.increments is None else ()


@final
@dataclass(frozen=True)
class EulerMaruyama(StochasticSolver):
    """The Euler-Maruyama method, in Ito's sense: y + dt f(t, y) + g(t, y) dW.

    Of strong order 1 if the noise is additive (g does not look at y), and 1/2 otherwise, which is what `strong_order`
    says; of weak order 1. Without noise it is Euler's method to the bit, and `amplification` is that one's.

    Source: Kloeden & Platen, Numerical Solution of Stochastic Differential Equations (1992), sec. 10.2, eq. (2.4).
    """

    order = 1
    stages = 1
    num_evals = 1
    strong_order = 0.5

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """One Euler step and the noise."""
        diffusion = required_diffusion(self, f)
        if not diffusion.active:
            return _EULER.step(f, t, dt, y, ())[0], carry
        noise, carry = _increments(diffusion, t, dt, y, carry)
        return advance(y, dt, f(t, y)) + diffusion.g(t, y) * noise, carry

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|1 + z|, of the equation without noise."""
        return _EULER.amplification(z)


@final
@dataclass(frozen=True)
class StochasticHeun(StochasticSolver):
    """The stochastic Heun method, in Stratonovich's sense: two evaluations of drift and diffusion a step.

    With Y = y + dt f(t, y) + g(t, y) dW, the step is y + dt/2 (f(t, y) + f(t + dt, Y)) + (g(t, y) + g(t + dt, Y))/2 dW.
    Of strong order 1 for diagonal noise whose g looks, unit by unit, only at that unit. Without noise it is Heun's
    method to the bit, of order 2, and `amplification` is that one's.

    With multiplicative noise Ito's and Stratonovich's equations differ: of g = b y, by the drift b^2 y / 2.

    Source: Kloeden & Platen, Numerical Solution of Stochastic Differential Equations (1992), sec. 11.1; Ruemelin,
    Numerical treatment of stochastic differential equations, SIAM J. Numer. Anal. 19 (1982), 604-613.
    """

    order = 2
    stages = 2
    num_evals = 2
    strong_order = 1.0

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """A step of Euler-Maruyama as predictor, then the trapezoidal rule in drift and diffusion."""
        diffusion = required_diffusion(self, f)
        if not diffusion.active:
            return _HEUN.step(f, t, dt, y, ())[0], carry
        noise, carry = _increments(diffusion, t, dt, y, carry)
        slope, scale = f(t, y), diffusion.g(t, y)
        ahead = advance(y, dt, slope) + scale * noise
        mean = combine(y, dt, (0.5, 0.5), (slope, f(t + dt, ahead)))
        return mean + 0.5 * (scale + diffusion.g(t + dt, ahead)) * noise, carry

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|1 + z + z^2/2|, of the equation without noise."""
        return _HEUN.amplification(z)


def _seeded(diffusion: Diffusion) -> Carry:
    generator = diffusion.generator
    device = "cpu" if generator is None else generator.device
    return (float(torch.randint(_SEEDS, (), generator=generator, device=device)), 0.0)


def _increments(diffusion: Diffusion, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
    """Draw W(t + dt) - W(t), of the shape of `y`; return it and the carry after it."""
    if not isinstance(dt, Tensor) and dt < 0:
        raise ValueError(f"`dt` is {dt}; a stochastic equation runs forward in time: give an end after the start")
    if diffusion.increments is not None:
        return diffusion.increments(t, dt, y), carry
    seed, count = carry or _seeded(diffusion)
    generator = torch.Generator(device=y.device).manual_seed(_mixed(int(seed) + int(count)))
    normal = torch.randn(y.shape, generator=generator, dtype=y.dtype, device=y.device)
    return normal * (dt.sqrt() if isinstance(dt, Tensor) else sqrt(dt)), (seed, count + 1)


def _mixed(number: int) -> int:
    """64 scrambled bits of a whole number, so that neighbouring numbers seed unrelated noise.

    Source: Steele, Lea & Flood, Fast splittable pseudorandom number generators (OOPSLA 2014), the function mix64 of
    SplitMix64 with Stafford's variant 13, and its increment.
    """
    bits = 2**64 - 1
    z = (number * 0x9E3779B97F4A7C15) & bits
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & bits
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & bits
    return z ^ (z >> 31)
