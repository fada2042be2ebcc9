"""Law: a network has on a device the outputs and the gradients that it has on the CPU, for every choice of the four."""

import copy
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import ADJOINTS, FIELDS, GRURNN, HOLDS, ODERNN, AntisymmetricRNN, ElmanRNN
from odernn.fields.field import is_damped_partitioned, is_partitioned
from solvers import SOLVERS, SplittingMethod, make_solver, odeint

DOUBLE = torch.float64
BOUND = 1e-9  # float64: sums of some hundred products in another order, through ten steps


def fits(field: str, solver: str) -> bool:
    """Whether a registered solver takes a registered field with their defaults."""
    try:
        ODERNN(FIELDS[field](2, 6), make_solver(solver), dt=0.1)
    except (TypeError, ValueError):
        return False
    return True


def numbers(rnn: torch.nn.Module, x: Tensor, **options: Any) -> list[Tensor]:
    """The output and the gradients by the input and by every parameter, on the CPU."""
    x = x.clone().requires_grad_()
    output, _ = rnn(x, **options)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape).to(output.device)
    (output * weights).sum().backward()
    found = [output, x.grad, *(p.grad for p in rnn.parameters())]
    return [one.detach().cpu() for one in found if one is not None]


def assert_same(rnn: torch.nn.Module, x: Tensor, bound: float = BOUND, **options: Any) -> None:
    """The numbers of the CPU's network and of its copy on the device."""
    beside = copy.deepcopy(rnn).to("cuda")
    moved = {key: value.cuda() if isinstance(value, Tensor) else value for key, value in options.items()}
    here, there = numbers(rnn, x, **options), numbers(beside, x.cuda(), **moved)
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        assert torch.allclose(one, other, rtol=bound, atol=bound), float((one - other).abs().max())


@pytest.mark.parametrize(("field", "solver"), [(f, s) for f in FIELDS for s in SOLVERS if fits(f, s)])
def test_every_field_and_solver(field: str, solver: str) -> None:
    torch.manual_seed(0)
    rnn = ODERNN(FIELDS[field](2, 6), make_solver(solver), dt=0.1, batch_first=True, engine="torch").to(DOUBLE)
    if "Noisy" in type(rnn.field).__name__:
        pytest.skip("a device draws other noise than the CPU")
    assert_same(rnn, torch.randn(3, 7, 2, dtype=DOUBLE))


@pytest.mark.parametrize(
    ("adjoint", "hold", "steps", "substeps"), list(product(ADJOINTS, HOLDS, ["number", "time", "each"], [1, 2]))
)
def test_every_adjoint_hold_and_step(adjoint: str, hold: str, steps: str, substeps: int) -> None:
    torch.manual_seed(0)
    solver = "reversible-heun" if adjoint == "reversible" else "rk4"
    rnn = ODERNN(
        FIELDS["antisymmetric"](2, 6), solver, dt=0.1, hold=hold, substeps=substeps, adjoint=adjoint,
        batch_first=True, engine="torch",
    ).to(DOUBLE)  # fmt: skip
    x = torch.randn(3, 7, 2, dtype=DOUBLE)
    dt = 0.05 + 0.1 * torch.rand(3, 7, dtype=DOUBLE)
    options = {} if steps == "number" else {"dt": dt[0] if steps == "time" else dt}
    assert_same(rnn, x, 1e-7 if adjoint == "reversible" else BOUND, **options)


@pytest.mark.parametrize("make", [AntisymmetricRNN, ElmanRNN, GRURNN])
def test_stacks_and_lengths(make: Any) -> None:
    torch.manual_seed(0)
    options = {"epsilon": 0.1, "gamma": 0.01} if make is AntisymmetricRNN else {}
    rnn = make(2, 6, num_layers=2, bidirectional=True, batch_first=True, **options).to(DOUBLE)
    assert_same(rnn, torch.randn(3, 7, 2, dtype=DOUBLE), lengths=torch.tensor([7, 3, 5]))


def test_resets_on_a_device() -> None:
    torch.manual_seed(0)
    rnn = ODERNN(FIELDS["antisymmetric"](2, 6), "euler", dt=0.1, batch_first=True).to(DOUBLE)
    resets = torch.zeros(3, 7, dtype=torch.bool)
    resets[1, 3] = resets[2, 5] = True
    assert_same(rnn, torch.randn(3, 7, 2, dtype=DOUBLE), resets=resets)


def test_a_stream_continues_on_a_device() -> None:
    torch.manual_seed(0)
    rnn = ODERNN(FIELDS["antisymmetric"](2, 6), "rk4", dt=0.1, batch_first=True).to("cuda", DOUBLE)
    x = torch.randn(3, 7, 2, dtype=DOUBLE, device="cuda")
    whole, _ = rnn(x)
    stream = rnn.stream(3)
    parts = torch.stack([stream(x[:, n]) for n in range(7)], dim=1)
    assert torch.allclose(whole, parts, rtol=1e-12, atol=1e-12)


def test_integrate_and_odeint() -> None:
    y0, t = torch.randn(3, 4, dtype=DOUBLE), torch.linspace(0, 1, 5, dtype=DOUBLE)

    def f(t: Any, y: Tensor) -> Tensor:
        return torch.sin(y.roll(1, -1)) * torch.cos(torch.as_tensor(t))

    for method in ("rk4", "dopri5"):
        here, there = odeint(f, y0, t, method=method), odeint(f, y0.cuda(), t.cuda(), method=method)
        assert torch.allclose(here, there.cpu(), rtol=1e-9, atol=1e-9)


def test_a_half_float_network_under_autocast_keeps_a_float_state() -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 16), "euler", dt=0.1, batch_first=True).cuda()
    x = torch.randn(3, 7, 2, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        output, _ = rnn(x)
    assert output.dtype == torch.float32
    assert torch.allclose(output, rnn(x)[0], rtol=1e-2, atol=1e-2)


def test_tensors_on_two_devices_are_refused_in_a_sentence() -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 16), "euler", dt=0.1, batch_first=True).cuda()
    with pytest.raises((ValueError, RuntimeError), match=r"device|cuda|cpu"):
        rnn(torch.randn(3, 7, 2))


def test_the_partitions_are_known() -> None:
    """The list above must hold partitioned fields with a splitting method."""
    field = FIELDS["hamiltonian"](2, 6)
    assert is_partitioned(field) or is_damped_partitioned(field)
    assert any(issubclass(SOLVERS[s], SplittingMethod) and fits("hamiltonian", s) for s in SOLVERS)
