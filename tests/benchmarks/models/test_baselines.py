"""torch's networks as baselines."""

import pytest
import torch

from benchmarks.models.baselines import Baseline
from benchmarks.models.network import build_network
from benchmarks.objectives import Classification
from benchmarks.settings.types import BaselineSettings
from benchmarks.support.errors import UserError


def test_lstm_adds_the_forget_bias_once() -> None:
    lstm = Baseline(BaselineSettings("lstm", 8, 1.0), 3).rnn
    biases = dict(lstm.named_parameters())
    total = biases["bias_ih_l0"] + biases["bias_hh_l0"]
    assert torch.equal(total.chunk(4)[1], torch.ones(8))
    for gate in (0, 2, 3):
        assert torch.equal(total.chunk(4)[gate], torch.zeros(8))


def test_forget_gate_is_where_torch_has_it() -> None:
    # With zero weights and a huge forget bias the cell keeps what it has; with another gate's it would not.
    lstm = Baseline(BaselineSettings("lstm", 4, 50.0), 2).rnn
    with torch.no_grad():
        lstm.weight_ih_l0.zero_()
        lstm.weight_hh_l0.zero_()
    cell = torch.randn(1, 1, 4)
    _, (_, kept) = lstm(torch.randn(1, 7, 2), (torch.zeros(1, 1, 4), cell))
    torch.testing.assert_close(kept, cell)  # the input gate adds sigmoid(0) tanh(0) = 0


def test_other_kinds_refuse_a_forget_bias() -> None:
    with pytest.raises(UserError, match=r"`model.forget_bias`.*'gru'"):
        build_network(BaselineSettings("gru", 8, 1.0), input_size=1, objective=Classification(10), seed=0)


def test_single_bias_is_the_same_network_with_one_bias_to_train() -> None:
    lstm = Baseline(BaselineSettings("lstm", 8, 1.0, single_bias=True), 3).rnn
    assert torch.equal(lstm.bias_hh_l0, torch.zeros(32))
    assert [name for name, value in lstm.named_parameters() if not value.requires_grad] == ["bias_hh_l0"]
    assert torch.equal(lstm.bias_ih_l0.chunk(4)[1], torch.ones(8))
    output, _ = lstm(torch.randn(2, 5, 3))
    output.sum().backward()
    assert lstm.bias_hh_l0.grad is None


def test_other_kinds_refuse_a_single_bias() -> None:
    with pytest.raises(UserError, match=r"`model.single_bias`.*'gru'"):
        build_network(BaselineSettings("gru", 8, single_bias=True), input_size=1, objective=Classification(10), seed=0)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_last_state_is_that_of_torch(kind: str) -> None:
    baseline = Baseline(BaselineSettings(kind, 5), 2)
    x = torch.randn(3, 6, 2)
    output, state = baseline.rnn(x)
    last = state[0] if kind == "lstm" else state
    torch.testing.assert_close(baseline(x), last[0])
    assert output.shape == (3, 6, 5)


def test_trajectory_is_that_of_torch() -> None:
    baseline = Baseline(BaselineSettings("gru", 5), 2, "trajectory")
    x = torch.randn(3, 6, 2)
    output, _ = baseline.rnn(x)
    assert torch.equal(baseline(x), output)
