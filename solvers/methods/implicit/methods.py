"""Implicit methods of one stage: their equation is solved by Newton's method or by fixed-point iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, get_args

import torch
from torch import Tensor

from ...arithmetic import advance
from ...checks import check_choice, check_count, check_positive, complex_numbers, is_half
from ...right_hand_side import RightHandSide, Time
from ...solver import Carry, Solver
from .convergence import Limits, fixed_point
from .gradient import attach_factors, attach_iteration, refuse_tangents, refuse_transforms
from .root import find_root
from .stage import ImplicitStage

Method = Literal["auto", "newton", "fixed-point"]

LARGEST_SYSTEM = 512
"""Unknowns of a row up to which "auto" takes Newton's method, whose matrices have the square of that many entries."""


@dataclass(frozen=True)
class ImplicitSolver(Solver):
    """A method whose step is one equation Y = base + dt f(t, Y). Abstract: a method names its equation.

    - Newton's method solves (I - dt df/dy) change = residual with the field's own derivative, as LU factors of a
      matrix a row (see `ImplicitStage` for what a row is). It is the simplified one: the factors are kept while each
      step is at most a tenth of the one before, and made again at the last iterate otherwise. So a linear right-hand
      side takes one factorisation: the Cayley transform, if the method is the implicit midpoint rule.
    - Fixed-point iteration Y <- base + dt f(t, Y) forms no matrix. It converges only where |dt df/dy| < 1.

    An equation may have several roots. By Newton's method the step is the one that continues from the start of the
    step: the end of the branch Y(s) of roots that begins with the state itself at s = 0 and solves the equation of a
    step of s dt. Where Newton's changes do not halve, or a real eigenvalue of dt df/dy exceeds one, the branch itself
    is followed, which takes some ten to some hundred factorisations. Where it does not reach the end of the step, or
    folds before it and whole steps of Newton's method do not go to the root beyond, the step is refused with a
    ConvergenceError.

    Every row is iterated until the changes still to come are below the tolerance, and no further: what else is in its
    batch does not change its result. Every iteration reads back from the device whether it was the last, so
    torch.func.vmap and torch.compile(fullgraph=True) cannot go through a step.

    Gradients, to all that f and the arguments of the step were made of, are those of the solution, by the implicit
    function theorem; nothing of the iterations is kept. Second derivatives, forward mode and torch.func's transforms
    are refused with a NotImplementedError; under fixed-point iteration batches of gradients (`vectorize=True`) are
    refused by torch's own error.

    States in half precision (float16, bfloat16) are refused: torch factorises no such matrix, and with three digits
    a change of the iteration cannot be told from a rounding.

    Args:
        method: "newton", "fixed-point", or "auto": Newton where a row has at most 512 unknowns.
        tolerance: the error of Y allowed, relative to the largest entry of its row, from one rounding of its dtype;
            None for that rounding.
        max_iterations: the most iterations of a step, the last of which checks the one before. A branch is followed
            through at most ten times as many points.

    Raises:
        ConvergenceError: in a step, the equation was not solved. A state that was not finite before the step is no
            reason: it stays not finite, and the check for divergence reports it.
        TypeError: an argument of the wrong type, or a state in half precision.
        ValueError: an argument out of range, or a `tolerance` below one rounding of the state.
        NotImplementedError: a transform of torch.func, forward mode or a second derivative.
    """

    method: Method = "auto"
    tolerance: float | None = None
    max_iterations: int = 100

    def __post_init__(self) -> None:
        """Check the hyperparameters."""
        check_choice("method", self.method, get_args(Method))
        if self.tolerance is not None:
            check_positive("tolerance", self.tolerance)
            check_tolerance(self.tolerance, torch.float64)
        check_count("max_iterations", self.max_iterations)

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """Nothing: a one-step method."""
        return ()

    def solve(self, stage: ImplicitStage, guess: Tensor) -> Tensor:
        """The Y of `stage`, with its gradient; the iteration starts from `guess`."""
        refuse_transforms(type(self).__name__)
        self._check_dtype(guess.dtype)
        limits = Limits(type(self).__name__, stage.t, self.tolerance, self.max_iterations)
        newton = self._takes_newton(stage)
        with torch.no_grad():
            y = _solve(stage, guess.detach(), newton, limits)
        refuse_tangents(y)
        if not torch.is_grad_enabled():
            return y
        return attach_factors(stage, y) if newton else attach_iteration(stage, y, limits)

    def _check_dtype(self, dtype: torch.dtype) -> None:
        if is_half(dtype):
            raise TypeError(
                f"`y0` is {dtype}, and {type(self).__name__} solves an equation, for which half precision is too "
                "coarse: give the state and the right-hand side in torch.float32, or use an explicit solver"
            )
        if self.tolerance is not None:
            check_tolerance(self.tolerance, dtype)

    def _takes_newton(self, stage: ImplicitStage) -> bool:
        if self.method == "auto":
            return stage.pack(stage.base).shape[-1] <= LARGEST_SYSTEM
        return self.method == "newton"


def check_tolerance(tolerance: float, dtype: torch.dtype) -> None:
    """A tolerance that the dtype can tell from zero.

    Raises:
        ValueError: it is below one rounding.
    """
    rounding = torch.finfo(dtype).eps
    if tolerance < rounding:
        raise ValueError(
            f"`tolerance` is {tolerance}, below one rounding of {dtype}, {rounding:.3g}, which is the least that an "
            "iteration can reach: give at least that, or None for exactly that"
        )


def _solve(stage: ImplicitStage, guess: Tensor, newton: bool, limits: Limits) -> Tensor:
    start = stage.pack(guess)
    if newton:
        return stage.unpack(find_root(stage, start, limits))
    return stage.unpack(fixed_point(lambda rows: stage.image_of_rows(rows) - rows, start, limits))


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

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """The equation itself."""
        return self.solve(ImplicitStage(f, t + dt, dt, y), y), carry

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|1 / (1 - z)|."""
        return 1 / (1 - complex_numbers("z", z)).abs()


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

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """Half a step of backward Euler to the middle, then as far again in a straight line."""
        half = 0.5 * dt
        middle = self.solve(ImplicitStage(f, t + half, half, y), y)
        return 2 * middle - y, carry

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

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """Half a step of Euler, then half a step of backward Euler."""
        half = 0.5 * dt
        return self.solve(ImplicitStage(f, t + dt, half, advance(y, half, f(t, y))), y), carry

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|(1 + z/2) / (1 - z/2)|."""
        return cayley(z)


def cayley(z: complex | Tensor) -> Tensor:
    """|(1 + z/2) / (1 - z/2)|, the amplification of the implicit midpoint rule: one on the imaginary axis."""
    z = complex_numbers("z", z)
    return (2 + z).abs() / (2 - z).abs()
