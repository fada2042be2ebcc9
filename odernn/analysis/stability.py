"""Whether a solver's step is stable at the eigenvalues of a network, and how far it could go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, log10

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from odernn import ODERNN
from solvers import Solver
from solvers.checks import check_tensor
from solvers.extend import check_solver

from .matrices import DIVERGED, check_finite
from .spectrum import scaled_spectrum

ROUNDING = 1e-12
"""How far above 1 |R| of a neutral method may lie by rounding."""

FINEST, COARSEST, POINTS = 1e-4, 1e3, 141
"""The grid of scales that `stable_scale` looks at: twenty points a decade, refined by bisection."""


def stability_margin(
    rnn: ODERNN,
    x: Tensor,
    y0: Tensor | None = None,
    *,
    solver: Solver | None = None,
    at: Sequence[int] | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "time batch"]:
    """One minus the largest |R(z)| over the eigenvalues z = dt / substeps times those of df/dy, at each sample.

    Zero or above: no mode of the linearised field grows in this step. Below zero: the fastest grows by minus the margin
    a step. R is the solver's amplification, for a multi-step or partitioned method the largest root; so the margin of
    LeapfrogMidpoint or ReversibleHeun tells of their parasitic modes too. An exponential method treats its linear part
    exactly and its margin here is that of exp(z): true where all of the field is linear part.

    It is a statement about each step by itself. A product of steps, each of which is stable, can grow for a while where
    the Jacobians are not normal; `end_to_end_jacobian` and `lyapunov_exponents` tell of products.

    Args:
        rnn: the layer. It is not changed.
        x: the input as the layer takes it, in its layout.
        y0: the start as the layer takes it; zero if None.
        solver: another method to ask, along the same trajectory; the layer's own if None.
        at: the samples to take, from 0; all of them if None.
        dtype: the dtype to compute the Jacobians in; None for the layer's own.

    Returns:
        (time, batch), float64 on the CPU. A neutral method gives zero to rounding, of either sign.

    Raises:
        TypeError, ValueError: as `spectrum`, or `solver` is not a solver.
        DivergenceError: the state stopped being finite.

    Source: Chang et al., AntisymmetricRNN (2019), proposition 2, for any method.
    """
    if solver is not None:
        check_solver(solver)
    z = scaled_spectrum(rnn, x, y0, at=at, dtype=dtype)
    return 1 - amplification(rnn.solver if solver is None else solver, z).amax(dim=-1)


def amplification(solver: Solver, z: Complex[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """|R(z)| of any finite z, float64 on the CPU.

    Raises:
        TypeError: no solver, or no tensor.
        ValueError: an entry of `z` is not finite.
    """
    check_solver(solver)
    check_tensor("z", z)
    check_finite("`z`", z, DIVERGED)
    return solver.amplification(z.detach().cpu().to(torch.complex128))


def stable_scale(solver: Solver, z: Complex[Tensor, "*shape"], *, allowed: float = ROUNDING) -> float:
    """The largest factor s such that every s' z with s' up to s is stable: by how much the step may grow.

    Above 1: the step could be that much longer. Below 1: it must be that much shorter. It is 0 where no step is short
    enough, as for Euler's method at an imaginary eigenvalue, and infinity where none is too long. Eigenvalues whose
    real part is above zero make it 0: no step makes a growing mode decay.

    Args:
        solver: the method.
        z: eigenvalues times the step, of any shape.
        allowed: how far above 1 |R| may lie and count as stable. An unstable method of order 2 at i s, whose |R| is
            about 1 + s^4 / 8, counts as stable up to s = 0.0017 with the default.

    Raises:
        TypeError: no solver, or no tensor.
        ValueError: an entry of `z` is not finite.
    """
    scales = torch.logspace(log10(FINEST), log10(COARSEST), POINTS, dtype=torch.float64).tolist()

    def stable(scale: float) -> bool:
        return bool((amplification(solver, scale * z) <= 1 + allowed).all())

    first = next((index for index, scale in enumerate(scales) if not stable(scale)), None)
    if first is None:
        return inf
    return _bisect(stable, scales[first - 1], scales[first]) if first else 0.0


def _bisect(stable: Callable[[float], bool], low: float, high: float) -> float:
    """The end of stability between a stable and an unstable scale, to six digits."""
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if stable(middle) else (low, middle)
    return low
