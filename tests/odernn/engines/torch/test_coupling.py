"""Law: the blocks of K that are multiplied on their own give autograd's numbers, with compiled kernels or without."""

from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AffinePointwiseField, LEMField
from tests.odernn.engines.native.fields import INPUT, Coupled, Undamped, Wrong
from tests.pairs import crossed

TIME, BATCH = 5, 8
DOUBLE = torch.float64
TOLD = (("zero", "diagonal"), ("diagonal", "diagonal"), ("zero", "zero"), ("dense", "dense"))
SEVERAL_VECTORS = ("adams-bashforth2", "reversible-heun")
BY = ["torch", pytest.param("native", marks=pytest.mark.kernels)]  # the recursion that goes back


def trained(field: AffinePointwiseField, solver: str, **facts: Any) -> list[Tensor]:
    torch.manual_seed(0)
    n = field.hidden_size
    x, y0 = (torch.randn(*s, dtype=DOUBLE).requires_grad_() for s in ((TIME, BATCH, INPUT), (1, BATCH, n)))
    output, last = ODERNN(field, solver, dt=0.1, substeps=2, **facts)(x, y0)
    loss = output.sin().sum() + last.cos().sum()
    return [
        output,
        *torch.autograd.grad(
            loss, [x, y0, *(each for each in field.parameters() if each.requires_grad)], materialize_grads=True
        ),
    ]


def compare(field: AffinePointwiseField, solver: str, engine: str) -> None:
    wanted = trained(field, solver, adjoint="autograd")
    for ours, theirs in zip(trained(field, solver, adjoint="discrete", engine=engine), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)  # rounding, in sums over forty rows


@crossed(
    {
        "blocks": ["dense, dense", "zero, dense", "dense, zero", "zero, zero", "trained from zero, dense"],
        "told": [False, True],
        "solver": ["symplectic-euler", "euler", "rk4", *SEVERAL_VECTORS],
        "engine": BY,
    }
)
def test_a_field_of_ones_own(blocks: str, told: bool, solver: str, engine: str) -> None:
    torch.manual_seed(1)
    first, _, second = blocks.partition(", ")
    goes_back = "torch" if solver in SEVERAL_VECTORS else engine  # the native recursion does not know those methods
    compare(Coupled((first, second), told).double(), solver, goes_back)


@pytest.mark.parametrize("free", [False, True])  # whether the kick sees no state at all
@pytest.mark.parametrize("engine", BY)
def test_a_later_stage_moves_the_second_half(engine: str, free: bool) -> None:
    torch.manual_seed(1)
    field = Undamped().double()
    if free:
        with torch.no_grad():
            for each in (field.damping, *field.parts):
                each.zero_()
    field.parts.requires_grad_(not free)
    compare(field, "leapfrog", engine)


@pytest.mark.parametrize("units", [6, 32])  # halves of no whole vectors, and of whole ones
@pytest.mark.parametrize("engine", BY)
def test_lem(units: int, engine: str) -> None:
    torch.manual_seed(1)
    compare(LEMField(INPUT, units, dtype=DOUBLE), "symplectic-euler", engine)


@pytest.mark.parametrize(
    ("says", "match"),
    [
        ((*TOLD[:3], ("zero", "dense")), "block 0 of row 3 is 'zero'"),
        ((*TOLD[:3], ("dense", "diagonal")), "block 1 of row 3 is 'diagonal'"),
        ((("zero", "zero"), *TOLD[1:]), "block 1 of row 0 is 'zero'"),
        (TOLD[:3], "each of the 4 halves"),
    ],
)
def test_a_promise_that_is_not_kept_is_told(says: Any, match: str) -> None:
    field = Wrong(("dense", "dense"), told=True)
    field.says = says
    with pytest.raises(ValueError, match=match):
        ODERNN(field, "symplectic-euler", dt=0.1, engine="torch")(torch.randn(TIME, BATCH, INPUT))


def test_weights_that_are_not_numbers_are_no_broken_promise() -> None:
    field = Coupled(("dense", "dense"), told=True)
    with torch.no_grad():
        field.damping.fill_(torch.nan)
    with pytest.raises(ArithmeticError, match="diverged"):
        ODERNN(field, "symplectic-euler", dt=0.1, engine="torch")(torch.randn(TIME, BATCH, INPUT))
