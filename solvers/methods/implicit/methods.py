"""Implicit methods of one stage: their equation is solved by Newton's method or by fixed-point iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, get_args

import torch
from torch import Tensor

from ...arithmetic import advance
from ...checks import check_choice, check_count, check_positive
from ...right_hand_side import RightHandSide, Time
from ...solver import Memory, Solver
from .convergence import Correction, Limits, as_it_is, iterate
from .gradient import attach_factors, attach_iteration, refuse_tangents
from .newton import derivative, factorise
from .stage import ImplicitStage

Method = Literal["auto", "newton", "fixed-point"]

LARGEST_SYSTEM = 512
"""Unknowns of a row up to which "auto" takes Newton's method, whose matrices have the square of that many entries."""


@dataclass(frozen=True)
class ImplicitSolver(Solver):
    """A method whose step is one equation Y = base + dt f(t, Y). Abstract: a method names its equation.

    - Newton's method solves (I - dt df/dy) change = residual with the field's own derivative, as LU factors of a
      matrix a row (see `ImplicitStage` for what a row is). It is the simplified one: the factors are kept while each
      step is at most a tenth of the one before, and made anew at the last iterate otherwise. So a linear right-hand
      side takes one factorisation: the Cayley transform, if the method is the implicit midpoint rule.
    - Fixed-point iteration Y <- base + dt f(t, Y) forms no matrix. It converges where |dt df/dy| < 1 alone.

    Every row is iterated until the changes still to come are below the tolerance, and no further: what else is in its
    batch changes its result by no more than that. Every iteration reads back from the device whether it was the last.

    Gradients, to all that f and the arguments of the step were made of, are those of the solution, by the implicit
    function theorem; nothing of the iterations is kept. Second derivatives and forward mode are refused with a
    NotImplementedError; torch.func's transforms, and under fixed-point iteration batches of gradients
    (`vectorize=True`), by torch's own error.

    Args:
        method: "newton", "fixed-point", or "auto": Newton where a row has at most 512 unknowns.
        tolerance: the error of Y allowed, relative to the largest entry of its row; None for one rounding of its dtype.
        max_iterations: the most iterations of a step, the last of which checks the one before.

    Raises:
        ConvergenceError: in a step, the equation was not solved. A state that was not finite before the step is no
            reason: it stays not finite, and the guard against divergence reports it.
        TypeError, ValueError: an argument of the wrong type or out of range.
    """

    method: Method = "auto"
    tolerance: float | None = None
    max_iterations: int = 100

    def __post_init__(self) -> None:
        """Check the hyperparameters."""
        check_choice("method", self.method, get_args(Method))
        if self.tolerance is not None:
            check_positive("tolerance", self.tolerance)
        check_count("max_iterations", self.max_iterations)

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Memory:
        """Nothing: a one-step method."""
        return ()

    def solve(self, stage: ImplicitStage, guess: Tensor) -> Tensor:
        """The Y of `stage`, with its gradient; the iteration starts from `guess`."""
        limits = Limits(type(self).__name__, stage.t, self.tolerance, self.max_iterations)
        newton = self._takes_newton(stage)
        # Derivatives are taken by autograd, which inference mode would switch off.
        with torch.inference_mode(False), torch.no_grad():
            y = _solve(stage, guess.detach().clone(), newton, limits)
        refuse_tangents(y)
        if not torch.is_grad_enabled():
            return y
        return attach_factors(stage, y) if newton else attach_iteration(stage, y, limits)

    def _takes_newton(self, stage: ImplicitStage) -> bool:
        if self.method == "auto":
            return stage.pack(stage.base).shape[-1] <= LARGEST_SYSTEM
        return self.method == "newton"


def _solve(stage: ImplicitStage, guess: Tensor, newton: bool, limits: Limits) -> Tensor:
    def residual(row: Tensor) -> Tensor:
        return stage.pack(stage.image(stage.unpack(row))) - row

    def by_newton(row: Tensor) -> Correction:
        return factorise(derivative(stage, stage.unpack(row))).solve

    return stage.unpack(iterate(residual, stage.pack(guess), by_newton if newton else as_it_is, limits))


@final
@dataclass(frozen=True)
class BackwardEuler(ImplicitSolver):
    """Backward Euler: y_next = y + dt f(t + dt, y_next), order 1, L-stable.

    `num_evals` is nominal, the evaluation that its equation shows; each iteration takes one.

    Source: Hairer & Wanner, Solving ODEs II, sec. IV.3; the iteration, sec. IV.8.
    """

    family = "implicit"
    order = 1
    stages = 1
    num_evals = 1

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The equation itself."""
        return self.solve(ImplicitStage(f, t + dt, dt, y), y), memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|1 / (1 - z)|."""
        return 1 / (1 - torch.as_tensor(z, dtype=torch.complex128)).abs()


@final
@dataclass(frozen=True)
class ImplicitMidpoint(ImplicitSolver):
    """The implicit midpoint rule: y_next = y + dt f(t + dt/2, (y + y_next) / 2), order 2, symmetric, A-stable.

    The Gauss method of one stage. It keeps every quadratic invariant and is symplectic: of an antisymmetric field
    without damping the Jacobian Phi of the flow keeps Phi^T M Phi = M under any input. On dy/dt = K y it is the Cayley
    transform (I - dt/2 K)^{-1} (I + dt/2 K), orthogonal for an antisymmetric K. |R(iy)| = 1 for all y.

    `num_evals` is nominal, the evaluation that its equation shows; each iteration takes one.

    Source: Hairer & Wanner, Solving ODEs II, sec. IV.3; Hairer, Lubich & Wanner, Geometric Numerical Integration,
    sec. IV.2.1 (quadratic invariants) and sec. VI.4 (symplecticity).
    """

    family = "implicit"
    symplectic = True
    order = 2
    stages = 1
    num_evals = 1

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Half a step of backward Euler to the middle, then as far again in a straight line."""
        half = 0.5 * dt
        middle = self.solve(ImplicitStage(f, t + half, half, y), y)
        return 2 * middle - y, memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|(1 + z/2) / (1 - z/2)|."""
        return cayley(z)


@final
@dataclass(frozen=True)
class Trapezoidal(ImplicitSolver):
    """The trapezoidal rule: y_next = y + dt/2 (f(t, y) + f(t + dt, y_next)), order 2, symmetric, A-stable.

    Conjugate to the implicit midpoint rule: half a step of Euler takes the one to the other. So what that keeps, this
    keeps nearly, without drift.

    `num_evals` is nominal, the two evaluations that its equation shows; each iteration takes one.

    Source: Hairer & Wanner, Solving ODEs II, sec. IV.3; Hairer, Lubich & Wanner, Geometric Numerical Integration,
    sec. VI.8 (conjugacy).
    """

    family = "implicit"
    order = 2
    stages = 2
    num_evals = 2

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Half a step of Euler, then half a step of backward Euler."""
        half = 0.5 * dt
        return self.solve(ImplicitStage(f, t + dt, half, advance(y, half, f(t, y))), y), memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|(1 + z/2) / (1 - z/2)|."""
        return cayley(z)


def cayley(z: complex | Tensor) -> Tensor:
    """|(1 + z/2) / (1 - z/2)|, the amplification of the implicit midpoint rule: one on the imaginary axis."""
    z = torch.as_tensor(z, dtype=torch.complex128)
    return (2 + z).abs() / (2 - z).abs()
