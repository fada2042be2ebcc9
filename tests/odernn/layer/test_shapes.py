"""The shapes of torch.nn.RNN, in every form that it takes."""

import pytest
import torch

from odernn import ODERNN, AntisymmetricField, AntisymmetricRNN, StackedState
from solvers import RK4, Euler


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 3)])
@pytest.mark.parametrize("given", [False, True])
def test_shapes_are_those_of_torch(batch_first: bool, shape: tuple[int, ...], given: bool) -> None:
    theirs = torch.nn.RNN(3, 6, batch_first=batch_first)
    ours = ODERNN(AntisymmetricField(3, 6), RK4(), dt=0.1, batch_first=batch_first)
    x = torch.randn(shape)
    batch = shape[0] if batch_first else shape[1]
    start = torch.randn((1, batch, 6) if len(shape) == 3 else (1, 6)) if given else None
    for got, wanted in zip(ours(x, start), theirs(x, start), strict=True):
        assert got.shape == wanted.shape


def test_the_output_ends_in_the_end_state() -> None:
    rnn = AntisymmetricRNN(3, 6, epsilon=0.1, gamma=0.1, batch_first=True)
    output, y_n = rnn(torch.randn(4, 7, 3))
    assert torch.equal(output[:, -1], y_n[0])


@pytest.mark.parametrize("shape", [(7, 4, 3), (7, 3)])
def test_the_end_alone_is_the_same(shape: tuple[int, ...]) -> None:
    rnn, x = AntisymmetricRNN(3, 6, epsilon=0.1, gamma=0.1), torch.randn(shape)
    output, y_n = rnn(x, save="end")
    assert output is None
    assert torch.equal(y_n, rnn(x)[1])


def test_the_default_start_is_zero() -> None:
    rnn, x = AntisymmetricRNN(3, 6, epsilon=0.1, gamma=0.1), torch.randn(7, 4, 3)
    assert torch.equal(rnn(x)[0], rnn(x, torch.zeros(1, 4, 6))[0])


def test_a_state_in_is_a_state_out() -> None:
    rnn = AntisymmetricRNN(3, 6, epsilon=0.1, gamma=0.1)
    output, state = rnn(torch.randn(7, 4, 3), rnn.initial_state(4))
    assert isinstance(state, StackedState)
    assert torch.equal(state.y[0], output[-1])
    assert state.t == pytest.approx(0.7)
    assert not state.detach().y.requires_grad


def test_a_step_of_one_sample_unbatched() -> None:
    rnn = AntisymmetricRNN(3, 6, epsilon=0.1, gamma=0.1)
    y, state = rnn.step(torch.randn(3))
    assert y.shape == (6,)
    assert state.y.shape == (1, 1, 6)


def test_moves_and_saves_like_a_module() -> None:
    rnn = ODERNN(AntisymmetricField(3, 6), Euler(), dt=0.1)
    again = ODERNN(AntisymmetricField(3, 6), Euler(), dt=0.1)
    again.load_state_dict(rnn.state_dict())
    x = torch.randn(7, 4, 3)
    assert torch.equal(rnn(x)[0], again(x)[0])
    assert rnn.double()(x.double())[0].dtype == torch.float64


def test_runs_on_a_device_without_values() -> None:
    """Nothing assumes the CPU."""
    rnn = ODERNN(AntisymmetricField(3, 6, device="meta"), Euler(), dt=0.1, on_divergence="ignore")
    output, y_n = rnn(torch.randn(7, 4, 3, device="meta"))
    assert output.device.type == y_n.device.type == "meta"
    assert output.shape == (7, 4, 6)


def test_compiles_without_a_graph_break() -> None:
    rnn, x = ODERNN(AntisymmetricField(3, 6), RK4(), dt=0.1), torch.randn(3, 4, 3)
    compiled = torch.compile(rnn, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x)[0], rnn(x)[0])
