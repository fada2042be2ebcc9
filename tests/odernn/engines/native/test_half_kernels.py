"""Law: kernels that multiply the rows of K of one half only, and none of its zeros, give autograd's numbers."""

from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AffinePointwiseField
from tests.odernn.engines.native.builds import built
from tests.odernn.engines.native.fields import INPUT, UNITS, Coupled, Wrong
from tests.pairs import crossed

TIME, BATCH = 5, 8  # rows that are more than one tile
BOUNDS = {torch.float64: 1e-11, torch.float32: 2e-4}  # rounding, in sums over forty rows of five steps

pytestmark = [pytest.mark.kernels, pytest.mark.usefixtures("unoptimised"), pytest.mark.ahead.with_args(built)]


def trained(rnn: ODERNN, x: Tensor) -> list[Tensor]:
    y0 = torch.linspace(-1, 1, BATCH * UNITS, dtype=x.dtype).reshape(1, BATCH, UNITS).requires_grad_()
    output, _ = rnn(x, y0)
    loss = (output * torch.arange(output.numel(), dtype=x.dtype).sin().reshape(output.shape)).sum()
    return [output.detach(), *torch.autograd.grad(loss, [x, y0, *rnn.parameters()], materialize_grads=True)]


def compare(field: AffinePointwiseField, solver: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(TIME, BATCH, INPUT, dtype=dtype).requires_grad_()
    own = ODERNN(field.to(dtype), solver, dt=0.1, substeps=2)
    own.compile_kernels()
    assert own.choice(x).engine == "native"
    want = trained(ODERNN(field, solver, dt=0.1, substeps=2, adjoint="autograd"), x)
    for ours, theirs in zip(trained(own, x), want, strict=True):
        assert torch.isfinite(ours).all()
        assert (ours - theirs).abs().max() <= BOUNDS[dtype] * theirs.abs().max().clamp(min=1)


@crossed(
    {
        "blocks": ["dense, dense", "zero, dense", "dense, zero", "zero, zero", "trained from zero, dense"],
        "told": [False, True],
        "solver": ["symplectic-euler", "rk4", "adams-bashforth2"],
        "dtype": list(BOUNDS),
    }
)
def test_they_have_autograds_numbers(blocks: str, told: bool, solver: str, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    first, _, second = blocks.partition(", ")
    compare(Coupled((first, second), told), solver, dtype)


def test_a_block_that_is_zero_is_trained() -> None:
    torch.manual_seed(1)
    field = Coupled(("trained from zero", "dense"), told=True)
    rnn = ODERNN(field, "symplectic-euler", dt=0.1)
    rnn.compile_kernels()
    rnn(torch.randn(TIME, BATCH, INPUT), torch.randn(1, BATCH, UNITS))[0].sum().backward()
    (gradient, _) = (part.grad for part in field.parts)
    assert gradient is not None
    assert (gradient != 0).all()


RIGHT = (("zero", "diagonal"), ("diagonal", "diagonal"), ("zero", "zero"), ("dense", "dense"))


@pytest.mark.parametrize(
    ("says", "match"),
    [
        ((*RIGHT[:3], ("zero", "dense")), "block 0 of row 3 is 'zero'"),
        ((*RIGHT[:3], ("dense", "diagonal")), "block 1 of row 3 is 'diagonal'"),
        ((("zero", "zero"), *RIGHT[1:]), "block 1 of row 0 is 'zero'"),
        (RIGHT[:3], "each of the 4 halves"),
        ((*RIGHT[:3], ("dense", "full")), "'zero', 'diagonal', 'dense'"),
        ((*RIGHT[:3], ("dense",)), "a pair of"),
    ],
)
def test_a_promise_that_is_not_kept_is_told(says: Any, match: str) -> None:
    field = Wrong(("dense", "dense"), told=True)
    field.says = says
    rnn = ODERNN(field, "symplectic-euler", dt=0.1)
    rnn.compile_kernels()
    with pytest.raises(ValueError, match=match):
        rnn(torch.randn(TIME, BATCH, INPUT))
