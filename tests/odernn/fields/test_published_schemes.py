"""Law: CoRNN, UnICORNN and LEM are the updates of their papers, with their gradients, on every engine."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import LEM, ODERNN, CoRNN, UnICORNN
from solvers import SymplecticEuler

DOUBLE = torch.float64
TIME, BATCH, INPUT, HALF, DT = 6, 3, 2, 4, 0.3
# The same products summed in another order, six steps long: tens of units in the last place of numbers of size one.
ROUNDING: dict[str, Any] = {"rtol": 0, "atol": 64 * torch.finfo(DOUBLE).eps}
Update = Callable[[Any, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def cornn(field: Any, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. (3) of Rusch & Mishra (2021), its damping at n - 1."""
    w, w_2 = field.recurrent[:, :HALF], field.recurrent[:, HALF:]
    v, b = field.input_map.weight, field.input_map.bias
    z = z + DT * torch.tanh(y @ w.T + z @ w_2.T + x @ v.T + b) - DT * 1.7 * y - DT * 0.4 * z
    return y + DT * z, z


def unicornn(field: Any, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. (4) of Rusch & Mishra (2021), one layer; its squashing is 0.5 + 0.5 tanh(c / 2)."""
    v, b = field.input_map.weight, field.input_map.bias
    s = 0.5 + 0.5 * torch.tanh(field.c / 2)
    z = z - DT * s * (torch.tanh(field.w * y + x @ v.T + b) + 0.9 * y)
    return y + DT * s * z, z


def lem(field: Any, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. (3) of Rusch et al. (2022); its squashing is 0.5 (1 + tanh(x / 2))."""
    (w_2, w_1), (v_2, v_1, v_y, v_z) = field.gates.chunk(2), field.input_map.weight.chunk(4)
    b_2, b_1, b_y, b_z = field.input_map.bias.chunk(4)
    step_z = DT * 0.5 * (1 + torch.tanh((y @ w_1.T + x @ v_1.T + b_1) / 2))
    step_y = DT * 0.5 * (1 + torch.tanh((y @ w_2.T + x @ v_2.T + b_2) / 2))
    z = (1 - step_z) * z + step_z * torch.tanh(y @ field.recurrent_z.T + x @ v_z.T + b_z)
    y = (1 - step_y) * y + step_y * torch.tanh(z @ field.recurrent_y.T + x @ v_y.T + b_y)
    return y, z


def network(name: str, **facts: Any) -> tuple[ODERNN, Update]:
    torch.manual_seed(1)
    sizes = (INPUT, 2 * HALF)
    if name == "cornn":
        rnn, update = CoRNN(*sizes, dt=DT, gamma=1.7, epsilon=0.4, dtype=DOUBLE, **facts), cornn
    elif name == "unicornn":
        rnn, update = UnICORNN(*sizes, dt=DT, alpha=0.9, dtype=DOUBLE, **facts), unicornn
    else:
        rnn, update = LEM(*sizes, dt=DT, dtype=DOUBLE, **facts), lem
    for parameter in rnn.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return rnn, update


def by_hand(rnn: ODERNN, update: Update, x: Tensor, y0: Tensor) -> Tensor:
    y, z = y0.chunk(2, dim=-1)
    states = []
    for sample in x:
        y, z = update(rnn.field, sample, y, z)
        states.append(torch.cat((y, z), dim=-1))
    return torch.stack(states)


@pytest.mark.parametrize("name", ["cornn", "unicornn", "lem"])
@pytest.mark.parametrize(
    "facts", [{}, {"engine": "torch"}, {"adjoint": "autograd"}, {"adjoint": "checkpointed"}], ids=str
)
def test_it_is_the_papers_update_with_its_gradients(name: str, facts: dict[str, Any]) -> None:
    rnn, update = network(name, **facts)
    assert isinstance(rnn.solver, SymplecticEuler)
    x = torch.randn(TIME, BATCH, INPUT, dtype=DOUBLE, requires_grad=True)
    y0 = torch.randn(1, BATCH, 2 * HALF, dtype=DOUBLE, requires_grad=True)
    output, y_n = rnn(x, y0)
    wanted = by_hand(rnn, update, x, y0[0])
    torch.testing.assert_close(output, wanted, **ROUNDING)
    torch.testing.assert_close(y_n[0], wanted[-1], **ROUNDING)
    leaves = (x, y0, *rnn.parameters())
    ours = torch.autograd.grad(output.sin().sum() + y_n.square().sum(), leaves)
    theirs = torch.autograd.grad(wanted.sin().sum() + wanted[-1].square().sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)  # sums over 18 rows of numbers up to ten


@pytest.mark.parametrize("name", ["cornn", "unicornn"])
def test_an_operator_takes_the_papers_scheme(name: str) -> None:
    rnn, _ = network(name, engine="torch")
    assert type(rnn.choice(torch.randn(TIME, BATCH, INPUT, dtype=DOUBLE)).adjoint).__name__ == "Operator"


@pytest.mark.parametrize("name", ["cornn", "unicornn", "lem"])
def test_a_stream_is_the_papers_update(name: str) -> None:
    rnn, update = network(name)
    x = torch.randn(TIME, BATCH, INPUT, dtype=DOUBLE)
    stream = rnn.stream(BATCH)
    with torch.no_grad():
        wanted = by_hand(rnn, update, x, torch.zeros(BATCH, 2 * HALF, dtype=DOUBLE))
        torch.testing.assert_close(torch.stack([stream(sample) for sample in x]), wanted, **ROUNDING)


@pytest.mark.parametrize("name", ["cornn", "unicornn", "lem"])
def test_the_slope_is_that_of_the_halves(name: str) -> None:
    """`forward`, which the methods for any field step, says what drift and kick say."""
    rnn, _ = network(name)
    field: Any = rnn.field
    y = torch.randn(BATCH, 2 * HALF, dtype=DOUBLE)
    u = field.control(torch.randn(BATCH, INPUT, dtype=DOUBLE))
    q, p = y.chunk(2, dim=-1)
    drift = field.drift(0.0, q, p, u) if name == "lem" else field.drift(0.0, p, u)
    kick = field.kick(0.0, q, u) if name == "unicornn" else field.kick(0.0, q, p, u)
    torch.testing.assert_close(field(0.0, y, u), torch.cat((drift, kick), dim=-1), **ROUNDING)
    if name != "lem":
        linear, remainder = field.semilinear()
        torch.testing.assert_close(y @ linear.dense().T + remainder(0.0, y, u), field(0.0, y, u), **ROUNDING)


@pytest.mark.parametrize(
    ("solver", "hold"), [("rk4", "linear"), ("etdrk2", "linear"), ("leapfrog", "linear"), ("yoshida4", "zero-order")]
)
def test_unicornn_on_an_operator_is_autograd_with_any_method(solver: str, hold: str) -> None:
    """The numbers that multiply the tanh go into the matrices of the scheme; each sample has a dt of its own."""
    _gradients_agree("unicornn", solver, hold)


@pytest.mark.parametrize(("solver", "hold"), [("heun3", "zero-order"), ("lawson-euler", "linear")])
def test_cornn_on_an_operator_is_autograd_with_any_method(solver: str, hold: str) -> None:
    _gradients_agree("cornn", solver, hold)


def _gradients_agree(name: str, solver: str, hold: str) -> None:
    rnn, _ = network(name)
    x = torch.randn(TIME, BATCH, INPUT, dtype=DOUBLE, requires_grad=True)
    dt = (0.1 + 0.2 * torch.rand(TIME, dtype=DOUBLE)).requires_grad_()
    found = []
    for adjoint in ("auto", "autograd"):
        layer = ODERNN(rnn.field, solver, dt=DT, substeps=2, hold=hold, adjoint=adjoint, engine="torch")
        if adjoint == "auto":
            assert type(layer.choice(x).adjoint).__name__ == "Operator"
        output, _ = layer(x, dt=dt)
        found.append((output, *torch.autograd.grad(output.sin().sum(), (x, dt, *rnn.parameters()))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)  # a dozen steps of numbers of size one
