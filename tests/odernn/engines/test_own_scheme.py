"""Law: an explicit method of the user that states its scheme runs on the fast operators, with autograd's gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField
from odernn.engines.lowering import Operator
from solvers import Solver
from solvers.arithmetic import advance
from solvers.extend import Carry, Coefficient, RightHandSide, Scheme, Schemes, Time

DOUBLE = torch.float64


def damped(ratios: Sequence[Coefficient]) -> Scheme:
    """On (y, dt f), the slope of the step before in the stage and in the step."""
    (r,) = ratios
    return Scheme(((1.0, 0.25 * r),), ((),), ((1.0, 0.5 * r), (0.0, 0.0)), ((0.5,), (1.0,)), (0.25,), (None,))


@final
@dataclass(frozen=True)
class SlopeAveraging(Solver):
    """A step along the mean of the slope before and the one at a quarter of the step; Euler's step to start."""

    family = "multi-step"
    order = stages = num_evals = 1
    schemes = Schemes(
        damped,
        (Scheme(((1.0,),), ((),), ((1.0,), (0.0,)), ((1.0,), (1.0,)), (0.0,), (None,)),),
        ratios=1,
        slopes=True,
        remembers_steps=True,
    )

    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        return ()

    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        if not carry:
            slope = f(t, y)
            return advance(y, dt, slope), (slope, dt)
        before, _ = carry
        assert isinstance(before, Tensor)
        slope = f(t + 0.25 * dt, advance(y, 0.25 * dt, before))
        return advance(y, 0.5 * dt, before + slope), (slope, dt)

    def amplification(self, z: complex | Tensor) -> Tensor:
        raise NotImplementedError


@pytest.mark.parametrize("engine", ["torch", pytest.param("native", marks=pytest.mark.kernels)])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_multi_step_method_of_the_user(engine: str, length: int) -> None:
    torch.manual_seed(0)
    field = AntisymmetricField(2, 4).double()
    facts: dict[str, Any] = {"dt": 0.3, "hold": "linear", "batch_first": True}
    fast = ODERNN(field, SlopeAveraging(), adjoint="discrete", engine=engine, **facts)
    exact = ODERNN(field, SlopeAveraging(), adjoint="autograd", **facts)
    x = torch.randn(3, length, 2, dtype=DOUBLE, requires_grad=True)
    dt = (0.2 + 0.1 * torch.rand(3, length, dtype=DOUBLE)).requires_grad_()
    choice = fast.choice(x)
    assert choice.engine == engine
    assert isinstance(choice.adjoint, Operator)
    found, wanted = (
        torch.autograd.grad(rnn(x, dt=dt)[0].square().sum(), [x, dt, *rnn.parameters()]) for rnn in (fast, exact)
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)  # sums of some ten products in another order
