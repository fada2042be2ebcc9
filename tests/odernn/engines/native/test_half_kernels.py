"""Law: kernels that multiply the rows of K of one half only, and none of its zeros, give autograd's numbers."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AffinePointwiseField
from solvers.extend import Time

UNITS, INPUT, TIME, BATCH = 32, 2, 5, 8  # halves of whole vectors in either precision; rows that are more than one tile
BOUNDS = {torch.float64: 1e-11, torch.float32: 2e-4}  # rounding, in sums over forty rows of five steps

pytestmark = pytest.mark.kernels


class Coupled(AffinePointwiseField):
    """dq/dt = p, dp/dt = tanh(M (q, p) + u) - c (q, p), two groups of preactivations, M of two blocks.

    Args:
        blocks: of M, "dense", "zero" (it stays so) or "trained from zero", for q and p.
        told: whether the field says how K is filled.
    """

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True

    def __init__(self, blocks: tuple[str, str], told: bool) -> None:
        super().__init__(INPUT, UNITS)
        self.told = told
        half = UNITS // 2
        self.blocks = blocks
        self.parts = nn.ParameterList(
            torch.zeros(half, half) if block == "trained from zero" else torch.randn(half, half) / 4 for block in blocks
        )
        self.damping = nn.Parameter(torch.tensor([0.5, 0.25]))
        self.input_map = nn.Linear(INPUT, UNITS)

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    @property
    def weight_blocks(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride] - each instance has its own
        if not self.told:
            return None
        last = tuple("zero" if block == "zero" else "dense" for block in self.blocks)
        return (("zero", "diagonal"), ("diagonal", "diagonal"), ("zero", "zero"), last)

    def weight(self) -> Tensor:
        half = UNITS // 2
        one, zero = torch.eye(half).to(self.damping), self.damping.new_zeros(half, half)
        parts = [zero * part if block == "zero" else part for block, part in zip(self.blocks, self.parts, strict=True)]
        c, d = self.damping
        return torch.cat([torch.cat(row, dim=1) for row in ([zero, one], [-c * one, -d * one], [zero, zero], parts)])

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        linear, inside = p.chunk(2, dim=-1)
        return linear + torch.tanh(inside + u)

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return self(t, torch.cat((torch.zeros_like(p), p), dim=-1), u)[..., : UNITS // 2]

    def kick(self, t: Time, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self(t, torch.cat((q, p), dim=-1), u)[..., UNITS // 2 :]


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


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("solver", ["symplectic-euler", "rk4", "adams-bashforth2"])
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize(
    "blocks",
    [("dense", "dense"), ("zero", "dense"), ("dense", "zero"), ("zero", "zero"), ("trained from zero", "dense")],
    ids=" ".join,
)
def test_they_have_autograds_numbers(blocks: tuple[str, str], told: bool, solver: str, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    compare(Coupled(blocks, told), solver, dtype)


def test_a_block_that_is_zero_is_trained() -> None:
    torch.manual_seed(1)
    field = Coupled(("trained from zero", "dense"), told=True)
    rnn = ODERNN(field, "symplectic-euler", dt=0.1)
    rnn.compile_kernels()
    rnn(torch.randn(TIME, BATCH, INPUT), torch.randn(1, BATCH, UNITS))[0].sum().backward()
    (gradient, _) = (part.grad for part in field.parts)
    assert gradient is not None
    assert (gradient != 0).all()


class Wrong(Coupled):
    """It says of K what it is told to say."""

    says: Any = None

    @property
    def weight_blocks(self) -> Any:
        return self.says


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
