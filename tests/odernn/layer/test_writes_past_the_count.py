"""Law: after a write through `.data`, which is not counted, the discrete adjoint sees new values along old states."""

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField
from solvers import Euler

DOUBLE = torch.float64
WRITTEN = ["x", "weight", "bias", "dt"]


def _loss(output: Tensor) -> Tensor:
    return (output * torch.linspace(-1, 1, output.numel(), dtype=DOUBLE).view_as(output)).sum()


def _given(engine: str) -> tuple[ODERNN, dict[str, Tensor]]:
    torch.manual_seed(0)
    field = AntisymmetricField(2, 4, damping=0.1, dtype=DOUBLE)
    rnn = ODERNN(field, Euler(), dt=0.3, adjoint="discrete", engine=engine)
    tensors = {
        "x": torch.randn(5, 3, 2, dtype=DOUBLE).requires_grad_(),
        "weight": field.input_map.weight,
        "bias": field.input_map.bias,
        "dt": (0.1 + 0.2 * torch.rand(5, dtype=DOUBLE)).requires_grad_(),
    }
    return rnn, tensors


def _along(states: Tensor, k: Tensor, of: dict[str, Tensor]) -> list[Tensor]:
    """The gradients of the loss through Euler's steps, each linearised at its old state and the new values."""
    states = states.detach()
    starts = torch.cat((torch.zeros_like(states[:1]), states[:-1]))
    (by_state,) = torch.autograd.grad(_loss(leaf := states.clone().requires_grad_()), leaf)
    found, adjoint = [torch.zeros_like(each) for each in of.values()], torch.zeros_like(states[0])
    for n in reversed(range(len(states))):
        y = starts[n].requires_grad_()
        u = of["x"][n] @ of["weight"].T + of["bias"]
        after = y + of["dt"][n] * torch.tanh(y @ k.T + u)
        adjoint, *parts = torch.autograd.grad(after, [y, *of.values()], adjoint + by_state[n])
        found = [total + part for total, part in zip(found, parts, strict=True)]
    return found


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_write_through_data_moves_the_linearisation_and_not_the_states(engine: str, written: str) -> None:
    """Autograd's loop keeps the slopes of the forward pass; here they are made again, with what is there by then."""
    rnn, tensors = _given(engine)
    output, _ = rnn(tensors["x"], dt=tensors["dt"])
    tensors[written].data.add_(0.3)
    found = torch.autograd.grad(_loss(output), list(tensors.values()))
    wanted = _along(output, rnn.field.weight().detach(), tensors)  # pyright: ignore[reportCallIssue]
    torch.testing.assert_close(list(found), wanted, rtol=1e-12, atol=1e-12)  # rounding of float64


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_write_through_data_into_dt_gives_the_numbers_of_autograd_through_a_loop(engine: str) -> None:
    """The loop multiplies by the saved dt, and nothing else is made of it."""
    rnn, tensors = _given(engine)
    output, _ = rnn(tensors["x"], dt=tensors["dt"])
    k, y, states = rnn.field.weight(), torch.zeros(3, 4, dtype=DOUBLE), []  # pyright: ignore[reportCallIssue]
    for x, dt in zip(tensors["x"], tensors["dt"], strict=True):
        y = y + dt * torch.tanh(y @ k.T + x @ tensors["weight"].T + tensors["bias"])
        states.append(y)
    looped = torch.stack(states)
    tensors["dt"].data.add_(0.3)
    found, wanted = (list(torch.autograd.grad(_loss(each), list(tensors.values()))) for each in (output, looped))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)  # rounding of float64


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_write_through_data_into_the_matrix_moves_nothing(engine: str) -> None:
    """K was built of the parameter by the forward pass, and is kept."""

    def found(*, write: bool) -> list[Tensor]:
        rnn, tensors = _given(engine)
        output, _ = rnn(tensors["x"], dt=tensors["dt"])
        if write:
            rnn.field.recurrent.upper.data.add_(0.3)  # pyright: ignore
        return list(torch.autograd.grad(_loss(output), [*tensors.values(), rnn.field.recurrent.upper]))  # pyright: ignore

    torch.testing.assert_close(found(write=True), found(write=False), rtol=0, atol=0)


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_counted_write_is_torchs_version_error(engine: str, written: str) -> None:
    """Under no_grad the write is counted."""
    rnn, tensors = _given(engine)
    output, _ = rnn(tensors["x"], dt=tensors["dt"])
    with torch.no_grad():
        tensors[written].add_(0.3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        _loss(output).backward()
