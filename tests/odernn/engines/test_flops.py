"""Law: torch counts of a traced program's operators what it counts of the same network, run step by step."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from odernn import FIELDS, ODERNN, register_flop_formulas
from odernn.engines.method import EULER
from odernn.engines.program import Call

TIME, BATCH = 5, 3
# torch's own, while it traces
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")


@pytest.fixture(autouse=True)
def formulas() -> None:
    """Once is enough; a second time changes nothing."""
    register_flop_formulas()


def counted(module: nn.Module, x: Tensor, y0: Tensor) -> tuple[int, int]:
    """The operations of the forward pass and of the backward one."""
    with FlopCounterMode(display=False) as counter:
        output, _ = module(x, y0)
        forward = counter.get_total_flops()
        output.sum().backward()
    return forward, counter.get_total_flops() - forward


@pytest.mark.parametrize(
    ("field", "solver", "options"),
    [
        ("antisymmetric", "rk4", {"substeps": 2}),
        ("gated-antisymmetric", "euler", {}),
        ("lipschitz", "leapfrog-midpoint", {}),
        ("hamiltonian", "leapfrog", {}),
        ("oscillator", "etdrk2", {}),
    ],
)
def test_a_program(field: str, solver: str, options: dict[str, Any]) -> None:
    """The adjoint makes every forward product again, and has the two of autograd."""
    made: Any = FIELDS[field]
    rnn = ODERNN(made(2, 4), solver, dt=0.1, **options)
    x = torch.randn(TIME, BATCH, 2, requires_grad=field != "antisymmetric")
    given = (x, torch.randn(1, BATCH, 4, requires_grad=True))
    stepped = ODERNN(rnn.field, solver, dt=0.1, adjoint="autograd", **options)
    forward, backward = counted(stepped, *given)
    program = torch.export.export(rnn, given).module()
    assert counted(program, *given) == (forward, backward + forward)


@pytest.mark.kernels
def test_samples_of_several_lengths_are_counted_one_by_one() -> None:
    call = Call(
        *(torch.randn(3, 4), torch.randn(4, 4), torch.randn(TIME * BATCH, 2), EULER),
        dt=0.1,
        input_weight=torch.randn(4, 2),
        bias=torch.randn(4),
        index=torch.arange(11),
        lengths=torch.tensor([5, 4, 2]),
    )
    with FlopCounterMode(display=False) as counter:
        torch.ops.odernn_native.solve(*call.arguments(), False)
    assert counter.get_total_flops() == 2 * 11 * (4 * 4 + 4 * 2)
