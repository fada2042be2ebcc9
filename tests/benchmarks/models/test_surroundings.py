"""What stands around the recurrent part: an embedding before it, dropout before it and after it."""

from dataclasses import replace

import pytest
import torch

from benchmarks.models.network import build_network
from benchmarks.objectives import NextToken
from benchmarks.settings.types import BaselineSettings, ODESettings
from odernn import SequenceNetwork

ODE = ODESettings("antisymmetric", "euler", 0.3, 1, "zero-order", "auto", "torch", 6, 1.0, 1.0, 0.1)
LSTM = BaselineSettings("lstm", 6)
TOKENS = torch.tensor([[0, 3, 4, 1], [2, 2, 0, 4]])


def network_of(settings: ODESettings | BaselineSettings) -> SequenceNetwork:
    return build_network(settings, input_size=5, objective=NextToken(5), seed=0)


def one_hot() -> torch.Tensor:
    return torch.nn.functional.one_hot(TOKENS, 5).float()


@pytest.mark.parametrize("settings", [ODE, LSTM])
def test_of_one_hot_tokens_it_is_torchs_embedding(settings: ODESettings | BaselineSettings) -> None:
    network = network_of(replace(settings, embedding=3))
    (matrix,) = network.encoder.parameters()
    table = torch.nn.Embedding.from_pretrained(matrix.T)
    assert matrix.shape == (3, 5)
    assert matrix.abs().max() <= 0.1
    assert torch.equal(network.encoder(one_hot()), table(TOKENS))
    expected = network.readout(network.recurrent(table(TOKENS)))
    assert torch.equal(network(one_hot()), expected)


@pytest.mark.parametrize("settings", [ODE, LSTM])
def test_without_one_the_network_has_the_weights_that_it_had(settings: ODESettings | BaselineSettings) -> None:
    plain, dropping = network_of(settings), network_of(replace(settings, input_dropout=0.5, output_dropout=0.5))
    names = {name.split(".")[0] for name in plain.state_dict()}
    assert names == {"recurrent", "readout"}
    assert all(torch.equal(value, dropping.state_dict()[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("where", ["input", "output"])
def test_dropout_sets_its_share_to_zero_in_training_only(where: str) -> None:
    network = network_of(replace(ODE, **{f"{where}_dropout": 0.3}))
    seen = []
    part = network.recurrent if where == "input" else network.readout
    part.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    x = torch.ones(500, 8, 5)
    network.train()(x)
    network.eval()(x)
    dropping, whole = seen
    share = (dropping == 0).float().mean().item()
    # 20,000 draws or more: five standard deviations of the mean are 0.016.
    assert share == pytest.approx(0.3, abs=0.016)
    torch.testing.assert_close(dropping[dropping != 0], (whole / 0.7)[dropping != 0])
    assert (whole != 0).all()
    shares = (dropping == 0).float().mean(dim=0)
    assert 0 < shares.min() <= shares.max() < 1  # each number by itself, at each step
