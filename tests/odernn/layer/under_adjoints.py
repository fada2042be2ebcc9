"""Networks under every adjoint, their gradients by everything, and how near those of two adjoints are."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from odernn import (
    FIELDS,
    ODERNN,
    Auto,
    DiscreteAdjoint,
    NoisyField,
    PartitionedField,
    SemilinearField,
    VectorField,
)
from odernn.fields.field import is_damped_partitioned
from solvers import (
    SOLVERS,
    Adjoint,
    Checkpointed,
    Need,
    Reversible,
    ReversibleSolver,
    TorchdiffeqSolver,
    make_solver,
)
from tests.fields import unregistered

DOUBLE = torch.float64
# Chunks of two intervals, so that a short sequence has several.
EXACT: dict[str, Adjoint] = {
    "discrete": DiscreteAdjoint(chunk=2),
    "checkpointed": Checkpointed(),
    "every-3": Checkpointed(every=3),
    "every-2-every-1": Checkpointed(every=2, within=Checkpointed(every=1)),
    "every-3-discrete": Checkpointed(every=3, within=DiscreteAdjoint(chunk=2)),
    "reversible": Reversible(chunk=2),
    "auto": Auto(),
}
NEEDED = {
    None: VectorField,
    Need.PARTITION: PartitionedField,
    Need.LINEAR_PART: SemilinearField,
    Need.DIFFUSION: NoisyField,
}
DTYPES = [torch.float64, torch.float32]
# Sums over a few hundred products of numbers of size up to ten, taken in another order.
ROUNDING: dict[torch.dtype, dict[str, Any]] = {
    torch.float64: {"rtol": 1e-10, "atol": 1e-10},
    torch.float32: {"rtol": 1e-4, "atol": 1e-4},
}
WHOLE = ("discrete", "checkpointed", "reversible")  # the others of EXACT are made of these
# Of the continuous adjoint, where its default, the solver's own method or dopri5, would be slower than need be.
BACKWARD = {1: TorchdiffeqSolver("rk4"), 2: TorchdiffeqSolver("rk4", steps=3)}


def suited(field: str, solver: str) -> VectorField:
    """The field as the solver takes it, with noise of both kinds for a stochastic one; no operator knows it.

    So the adjoints of solvers run themselves: the registered operators have a cross test of their own (test_engine).
    """
    rhs = FIELDS[field](2, 4, dtype=DOUBLE)  # pyright: ignore[reportCallIssue]
    noisy = SOLVERS[solver].needs is Need.DIFFUSION
    return unregistered(NoisyField(rhs, additive=0.1, multiplicative=0.2) if noisy else rhs)


@cache
def fits(field: str, solver: str) -> bool:
    made, needs = suited(field, solver), SOLVERS[solver].needs
    if needs is Need.PARTITION and is_damped_partitioned(made) and not SOLVERS[solver].takes_own_half:
        return False
    return isinstance(made, NEEDED[needs])


@cache
def undone(field: str, solver: str) -> bool:
    """Whether the reversible adjoint can step back: not where a kick sees its own half."""
    return SOLVERS[solver].needs is not Need.PARTITION or not is_damped_partitioned(suited(field, solver))


def accepted(adjoint: str, solver: str) -> bool:
    if adjoint == "reversible":
        return issubclass(SOLVERS[solver], ReversibleSolver)
    return adjoint != "continuous" or SOLVERS[solver].needs is not Need.DIFFUSION


def gradients(
    rnn: ODERNN, *, save: str = "trajectory", hold_y0: bool = True, dtype: torch.dtype = DOUBLE, pace: float = 1.0
) -> list[Tensor]:
    """The end state, and the gradients by input, start, steps and parameters, of losses along the whole trajectory."""
    torch.manual_seed(1)
    x, y0, of_end, of_second = (
        torch.randn(*shape, dtype=DOUBLE).to(dtype) for shape in ((3, 3, 2), (1, 3, 4), (1, 3, 4), (3, 4))
    )
    dt = (pace * (0.2 + 0.1 * torch.rand(3, 3, dtype=DOUBLE))).to(dtype).requires_grad_()
    x.requires_grad_()
    y0.requires_grad_(hold_y0)
    output, y_n = rnn(x, y0, dt=dt, save=save)
    loss = (y_n * of_end).sum()
    if output is not None:
        loss = loss + (output[1] * of_second).sum() + output[1:].square().sum()
    sources = [x, *([y0] if hold_y0 else []), dt, *rnn.field.parameters()]
    return [y_n, *torch.autograd.grad(loss, sources)]


def layer(field: str, solver: str, adjoint: Adjoint | str, dtype: torch.dtype = DOUBLE, *, substeps: int = 2) -> ODERNN:
    """The same network in every dtype, but for rounding."""
    torch.manual_seed(0)
    rhs = suited(field, solver).to(dtype)
    facts: dict[str, Any] = {"dt": 0.3, "substeps": substeps, "hold": "linear", "engine": "torch"}
    return ODERNN(rhs, make_solver(solver), adjoint=adjoint, **facts)


@cache
def reference(field: str, solver: str, dtype: torch.dtype = DOUBLE) -> list[Tensor]:
    """What autograd gives."""
    return gradients(layer(field, solver, "autograd", dtype), dtype=dtype)


def agree(one: Sequence[Tensor], other: Sequence[Tensor]) -> None:
    for got, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING[wanted.dtype])
