"""The one place where what a solver needs meets what a right-hand side declares."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from .right_hand_side import (
    Diffusion,
    Need,
    Partition,
    RightHandSide,
    Semilinear,
    diffusion_of,
    partition_of,
    semilinear_of,
)
from .solver import Solver

Structure = TypeVar("Structure", Partition, Semilinear, Diffusion)

_DECLARING = {
    Need.PARTITION: "HamiltonianField, or solvers.Partition",
    Need.LINEAR_PART: "LipschitzField, or solvers.Semilinear",
    Need.DIFFUSION: "NoisyField, or solvers.Structured with a solvers.Diffusion",
}


def check_requirements(solver: Solver, f: RightHandSide, y0: Tensor, name: str) -> None:
    """Refuse a right-hand side that lacks what `solver` needs.

    Args:
        solver: the method.
        f: the right-hand side.
        y0: the initial state (..., n).
        name: what to call the right-hand side in the message.

    Raises:
        ValueError: the structure is missing, the state cannot be split in two equal halves, the solver takes no kick
            that sees its own half, or it has no place for the noise that the right-hand side declares.
    """
    if solver.needs is Need.DIFFUSION:
        _required(solver, diffusion_of(f), name)
    elif diffusion_of(f) is not None:
        raise ValueError(
            f"{type(solver).__name__} has no place for the noise of {name}; use a stochastic solver (EulerMaruyama, "
            "StochasticHeun) or the right-hand side without noise (NoisyField.field)"
        )
    if solver.needs is Need.PARTITION:
        _check_kick(solver, _required(solver, partition_of(f), name), name)
        if y0.ndim == 0 or y0.shape[-1] % 2:
            raise ValueError(
                f"`y0` has shape {tuple(y0.shape)}; {type(solver).__name__} splits the last dimension into two equal "
                "halves (q, p): give an even size"
            )
    if solver.needs is Need.LINEAR_PART:
        _required(solver, semilinear_of(f), name)


def required_partition(solver: Solver, f: RightHandSide) -> Partition:
    """The partition of `f`, or an error that names the solver and the right-hand side."""
    return _required(solver, partition_of(f), type(f).__name__)


def refuse_inverse(solver: Solver, f: RightHandSide) -> None:
    """Refuse to undo a step of a splitting method that moves a half by what it sees of itself: that is an equation.

    Raises:
        ValueError: a kick or a drift does.
    """
    partition = partition_of(f)
    if solver.needs is Need.PARTITION and partition is not None and partition.sees_own_half:
        raise ValueError(
            f"`{_own(partition)}` is true of the right-hand side, and a step of {type(solver).__name__} then has "
            "no inverse in closed form: use another adjoint than the reversible one, such as 'checkpointed'"
        )


def required_semilinear(solver: Solver, f: RightHandSide) -> Semilinear:
    """The linear part and remainder of `f`, or an error that names the solver and the right-hand side."""
    return _required(solver, semilinear_of(f), type(f).__name__)


def required_diffusion(solver: Solver, f: RightHandSide) -> Diffusion:
    """The diffusion of `f`, or an error that names the solver and the right-hand side."""
    return _required(solver, diffusion_of(f), type(f).__name__)


def _check_kick(solver: Solver, partition: Partition, name: str) -> None:
    if partition.sees_own_half and not solver.takes_own_half:
        raise ValueError(
            f"`{_own(partition)}` is true of {name}, and {type(solver).__name__} takes a kick of t and q only, and a "
            "drift of t and p only: use "
            "SymplecticEuler, which is semi-implicit Euler there, or a solver for any field"
        )


def _own(partition: Partition) -> str:
    """The flag that says that a half is driven by itself."""
    return "kick_sees_p" if partition.kick_sees_p else "drift_sees_q"


def _required(solver: Solver, structure: Structure | None, name: str) -> Structure:
    if structure is None:
        assert solver.needs is not None
        raise ValueError(
            f"{type(solver).__name__} needs {solver.needs.value}, and {name} declares none; "
            f"use a right-hand side that does ({_DECLARING[solver.needs]}) or a `solver` for any field"
        )
    return structure
