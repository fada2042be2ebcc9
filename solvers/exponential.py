"""Exponential methods for a right-hand side with a declared linear part, dy/dt = A y + remainder(t, y).

Their matrices, functions of dt A, are made in the first step and kept in the memory, which is
(A, dt, stamp, exp(dt A), phi_1(dt A), ...). They are made anew as soon as A or dt is another: another number dt,
another tensor object, the same tensor changed in place (the stamp counts that), or gradients wanted of matrices that
were made without. A layer builds A once a call, so it makes the matrices once a call for a number dt and once an
interval for a tensor dt, and never uses matrices of before an optimiser's step. (An A written to through `A.data` is
the one change that torch keeps no count of: a field that hands out a parameter itself as A must not be changed so.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from .arithmetic import advance
from .phi import phi_functions
from .requirements import required_semilinear
from .solver import Memory, Solver
from .structure import Need, RightHandSide, Time


@final
@dataclass(frozen=True)
class LinearlyExactEuler(Solver):
    """The linearly exact Euler method: order 1, one evaluation of the remainder a step.

    y_next = exp(dt A) y + dt remainder(t, y). In the variation of constants, y_next = exp(dt A) y + the integral of
    exp((dt - s) A) remainder(t + s, y(t + s)) over s from 0 to dt, the remainder is taken at the start of the step, as
    by exponential Euler, and the exponential in the integral at its end, where it is the identity. So a remainder that
    is constant is integrated with an error of order dt A, and one that is zero exactly: an oscillation of A keeps its
    amplitude at any frequency. With A = 0 it is Euler's method.

    Source: Hochbruck & Ostermann, Exponential integrators, Acta Numerica 19 (2010), 209-286, the variation of constants
    (1.5), with the rectangle rule of the right end for its exponential; our own arrangement.
    """

    family = "exponential"
    order = 1
    stages = 1
    num_evals = 1
    needs = Need.LINEAR_PART

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Memory:
        """Nothing yet: the first step makes the matrix."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The linear part exactly, the remainder by Euler's method."""
        system = required_semilinear(self, f)
        memory = _current(memory, system.linear, dt, 0)
        (exponential,) = _tensors(memory)
        return advance(_times(exponential, y), dt, system.remainder(t, y)), memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|exp(z)|: all of the test equation is linear part."""
        return _exact(z)


@final
@dataclass(frozen=True)
class ExponentialEuler(Solver):
    """The exponential Euler method, or ETD1: order 1, one evaluation of the remainder a step.

    y_next = exp(dt A) y + dt phi_1(dt A) remainder(t, y). Exact, to rounding, where the remainder is constant within
    the step: a linear field under a zero-order hold. The stiffness of A does not bound the step.

    Source: Cox & Matthews, Exponential time differencing for stiff systems, J. Comput. Phys. 176 (2002), 430-455, the
    scheme ETD1.
    """

    family = "exponential"
    order = 1
    stages = 1
    num_evals = 1
    needs = Need.LINEAR_PART

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Memory:
        """Nothing yet: the first step makes the matrices."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The linear part exactly, the remainder as at the start of the step."""
        system = required_semilinear(self, f)
        memory = _current(memory, system.linear, dt, 1)
        exponential, phi_1 = _tensors(memory)
        return _times(exponential, y) + _times(phi_1, dt * system.remainder(t, y)), memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|exp(z)|: all of the test equation is linear part."""
        return _exact(z)


@final
@dataclass(frozen=True)
class ETDRK2(Solver):
    """Exponential time differencing Runge-Kutta: order 2, two evaluations of the remainder a step.

    a = exp(dt A) y + dt phi_1(dt A) remainder(t, y), which is a step of exponential Euler; then
    y_next = a + dt phi_2(dt A) (remainder(t + dt, a) - remainder(t, y)). Exact, to rounding, where the remainder is a
    straight line in time: a linear field whose control is held linearly.

    Source: Cox & Matthews, Exponential time differencing for stiff systems, J. Comput. Phys. 176 (2002), 430-455, the
    scheme ETD2RK.
    """

    family = "exponential"
    order = 2
    stages = 2
    num_evals = 2
    needs = Need.LINEAR_PART

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Memory:
        """Nothing yet: the first step makes the matrices."""
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Exponential Euler, then a correction for the change of the remainder."""
        system = required_semilinear(self, f)
        memory = _current(memory, system.linear, dt, 2)
        exponential, phi_1, phi_2 = _tensors(memory)
        start = system.remainder(t, y)
        a = _times(exponential, y) + _times(phi_1, dt * start)
        return a + _times(phi_2, dt * (system.remainder(t + dt, a) - start)), memory

    def amplification(self, z: complex | Tensor) -> Tensor:
        """|exp(z)|: all of the test equation is linear part."""
        return _exact(z)


def _exact(z: complex | Tensor) -> Tensor:
    return torch.as_tensor(z, dtype=torch.complex128).real.exp()


def _times(matrix: Tensor, y: Tensor) -> Tensor:
    """The matrix (n, n), or one a sample (..., n, n), times the last dimension of `y` (..., n)."""
    if matrix.ndim == 2:
        return functional.linear(y, matrix)
    return (matrix @ y.unsqueeze(-1)).squeeze(-1)


def _matrices(linear: Tensor, dt: Time, highest: int) -> Memory:
    """A new memory. A `dt` of shape (batch, 1) gives one matrix a sample."""
    scale = dt.unsqueeze(-1) if isinstance(dt, Tensor) and dt.ndim else dt
    return (linear, dt, _stamp(linear, dt), *phi_functions(scale * linear, highest))


def _current(memory: Memory, linear: Tensor, dt: Time, highest: int) -> Memory:
    """The memory if it was made of this A and this dt as they are now, else one that is."""
    kept = len(memory) == highest + 4 and _is_current(memory, linear, dt)
    return memory if kept else _matrices(linear, dt, highest)


def _is_current(memory: Memory, linear: Tensor, dt: Time) -> bool:
    known, step, stamp, exponential, *_ = memory
    if known is not linear or not _same(step, dt) or stamp != _stamp(linear, dt):
        return False
    assert isinstance(exponential, Tensor)
    return exponential.requires_grad or not _wants_gradient(linear, dt)


def _same(before: Time, now: Time) -> bool:
    """Two equal numbers, or one and the same tensor: entries are not compared, that would wait for the device."""
    if isinstance(before, Tensor) or isinstance(now, Tensor):
        return before is now
    return before == now


def _stamp(linear: Tensor, dt: Time) -> int:
    """How often A and dt were changed in place; it only grows. Inference tensors are not counted."""
    if torch.compiler.is_compiling():
        return 0
    values = (value for value in (linear, dt) if isinstance(value, Tensor) and not value.is_inference())
    return sum(value._version for value in values)


def _wants_gradient(linear: Tensor, dt: Time) -> bool:
    return torch.is_grad_enabled() and (linear.requires_grad or (isinstance(dt, Tensor) and dt.requires_grad))


def _tensors(memory: Memory) -> list[Tensor]:
    """Exp(dt A), phi_1(dt A), ..."""
    return [part for part in memory[3:] if isinstance(part, Tensor)]
