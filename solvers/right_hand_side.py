"""What a right-hand side f(t, y) may declare about itself, and the one check of what a solver needs of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor
from torch.nn import functional

from .checks import check_callable, check_flag, check_tensor, check_type
from .linear_part import BlockDiagonal, LinearPart, apply_matrix

Time = float | Tensor
"""A time or a step: a number, or a tensor () for all rows of a state or (batch, 1) for each its own."""
RightHandSide = Callable[[Time, Tensor], Tensor]
"""(t, y) -> dy/dt, of the shape of y."""


def time_tensor(t: Time, y: Tensor) -> Tensor:
    """Return the time as a tensor on the device of the state: () for a number.

    So a right-hand side may write torch.sin(t), whether its times came as numbers or as tensors. A tensor () is float64
    where the device has that type, so that late times keep their digits: beside a state with dimensions it does not
    widen the result. Any other time has the real dtype of the state. Nothing waits for the device.
    """
    dtype = y.real.dtype if y.is_complex() else y.dtype  # dynamo does not know dtype.to_real
    if isinstance(t, Tensor):
        return t.to(y.device) if t.ndim == 0 and y.ndim else t.to(device=y.device, dtype=dtype)
    wide = torch.float64 if y.ndim and y.device.type != "mps" else dtype
    return torch.full((), t, dtype=wide, device=y.device)


class Need(Enum):
    """A structure that a solver needs of its right-hand side."""

    PARTITION = "a partition y = (q, p), dq/dt = drift(t, p), dp/dt = kick(t, q)"
    LINEAR_PART = "a linear part, dy/dt = A y + remainder(t, y)"
    DIFFUSION = "a diffusion, dy = f(t, y) dt + g(t, y) dW"


@dataclass(frozen=True, slots=True)
class Partition:
    """The two halves of a partitioned system: dq/dt = drift(t, p) and dp/dt = kick(t, q).

    The state is y = (q, p), two equal halves of its last dimension. The halves may depend on time, not on themselves.
    With `kick_sees_p` the system is dp/dt = kick(t, q, p), as with friction, and with `drift_sees_q` it is
    dq/dt = drift(t, q, p). Of the splitting methods SymplecticEuler takes these, which is the semi-implicit Euler
    method there.

    Attributes:
        drift: dq/dt, of t and p, or of t, q and p where `drift_sees_q`.
        kick: dp/dt, of t and q, or of t, q and p where `kick_sees_p`.
        kick_sees_p: whether the kick is given p.
        drift_sees_q: whether the drift is given q.
    """

    drift: Callable[..., Tensor]
    kick: Callable[..., Tensor]
    kick_sees_p: bool = False
    drift_sees_q: bool = False

    def __post_init__(self) -> None:
        """Check the parts."""
        check_callable("drift", self.drift, "(t, p) -> dq/dt, or (t, q, p) with `drift_sees_q`")
        check_callable("kick", self.kick, "(t, q) -> dp/dt, or (t, q, p) with `kick_sees_p`")
        check_flag("kick_sees_p", self.kick_sees_p)
        check_flag("drift_sees_q", self.drift_sees_q)

    @property
    def sees_own_half(self) -> bool:
        """Whether a half is driven by itself too."""
        return self.kick_sees_p or self.drift_sees_q

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, of the shape of `y` (..., n) with n even."""
        q, p = y.chunk(2, dim=-1)
        return torch.cat((self.drift_of(t, q, p), self.kick_of(t, q, p)), dim=-1)

    def drift_of(self, t: Time, q: Tensor, p: Tensor) -> Tensor:
        """dq/dt at q and p, of the shape of `q`."""
        return self.drift(t, q, p) if self.drift_sees_q else self.drift(t, p)

    def kick_of(self, t: Time, q: Tensor, p: Tensor) -> Tensor:
        """dp/dt at q and p, of the shape of `p`."""
        return self.kick(t, q, p) if self.kick_sees_p else self.kick(t, q)


@dataclass(frozen=True, slots=True)
class Semilinear:
    """A system with a declared linear part: dy/dt = A y + remainder(t, y).

    Attributes:
        linear: A, a dense (n, n) matrix or a BlockDiagonal; it multiplies the last dimension of the state.
        remainder: the rest.
    """

    linear: LinearPart
    remainder: RightHandSide

    def __post_init__(self) -> None:
        """Check the parts."""
        if not isinstance(self.linear, BlockDiagonal):
            check_tensor("linear", self.linear)
        check_callable("remainder", self.remainder, "(t, y) -> dy/dt without A y")

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, of the shape of `y` (..., n)."""
        return apply_matrix(self.linear, y) + self.remainder(t, y)


@dataclass(frozen=True, slots=True)
class AffinePointwise:
    """A system that is elementwise in a linear map of its state: dy/dt = pointwise(t, y, y K^T).

    Attributes:
        weight: K (P, n), P a multiple of n.
        pointwise: (t, y, p) -> dy/dt; unit i of it depends only on entry i of y and on the entries i, i + n, ... of p.
    """

    weight: Tensor
    pointwise: Callable[[Time, Tensor, Tensor], Tensor]

    def __post_init__(self) -> None:
        """Check the parts."""
        check_tensor("weight", self.weight)
        check_callable("pointwise", self.pointwise, "(t, y, p) -> dy/dt")

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, of the shape of `y` (..., n)."""
        return self.pointwise(t, y, functional.linear(y, self.weight))


@dataclass(frozen=True, slots=True)
class Diffusion:
    """The noise of a stochastic equation dy = f(t, y) dt + g(t, y) dW: each unit has a Brownian motion of its own.

    Attributes:
        g: the diagonal of the diffusion, of the shape of `y`, in units of state / sqrt(time).
        active: whether there is noise; without it the stochastic methods are the deterministic ones, to the bit.
        increments: (t, dt, y) -> the increments W(t + dt) - W(t), of the shape of `y`, to give the Brownian path
            instead of drawing it.
        generator: what seeds the noise of a run; torch's global generator on the CPU if None.
    """

    g: RightHandSide
    active: bool = True
    increments: Callable[[Time, Time, Tensor], Tensor] | None = None
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        """Check the parts."""
        check_callable("g", self.g, "(t, y) -> the diagonal of the diffusion")
        check_flag("active", self.active)
        if self.increments is not None:
            check_callable("increments", self.increments, "(t, dt, y) -> W(t + dt) - W(t)")
        if self.generator is not None:
            check_type("generator", self.generator, torch.Generator, "a torch.Generator")


@dataclass(frozen=True, slots=True)
class Structured:
    """A right-hand side f(t, y) with the structure that it declares. A plain callable declares none.

    It promises to treat the rows of the state, the vectors of its last dimension, one by one, whatever it declares.

    Args:
        f: the right-hand side itself, (t, y) -> dy/dt of the shape of y.
        partition: its drift and kick, which symplectic methods take; or None.
        semilinear: its linear part and the rest, which exponential methods take; or None.
        affine: its weight and elementwise part; or None.
        diffusion: its noise, which stochastic methods take; or None.

    Raises:
        TypeError: a part of another kind.
    """

    f: RightHandSide
    partition: Partition | None = None
    semilinear: Semilinear | None = None
    affine: AffinePointwise | None = None
    diffusion: Diffusion | None = None

    def __post_init__(self) -> None:
        """Check the parts."""
        check_callable("f", self.f, "(t, y) -> dy/dt")
        for name, part, kind in (
            ("partition", self.partition, Partition),
            ("semilinear", self.semilinear, Semilinear),
            ("affine", self.affine, AffinePointwise),
            ("diffusion", self.diffusion, Diffusion),
        ):
            if part is not None:
                check_type(name, part, kind, f"a {kind.__name__} or None")

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, of the shape of `y`."""
        return self.f(t, y)


def semilinear_of(f: RightHandSide) -> Semilinear | None:
    """The linear part and remainder that `f` is or declares, or None."""
    if isinstance(f, Semilinear):
        return f
    return f.semilinear if isinstance(f, Structured) else None


def affine_of(f: RightHandSide) -> AffinePointwise | None:
    """The affine-pointwise structure that `f` is or declares, or None."""
    if isinstance(f, AffinePointwise):
        return f
    return f.affine if isinstance(f, Structured) else None


def partition_of(f: RightHandSide) -> Partition | None:
    """The partition that `f` is or declares, or None."""
    if isinstance(f, Partition):
        return f
    return f.partition if isinstance(f, Structured) else None


def diffusion_of(f: RightHandSide) -> Diffusion | None:
    """The diffusion that `f` declares, or None."""
    return f.diffusion if isinstance(f, Structured) else None
