"""Chunks of long sequences: with the state handed on they are the whole, and gradients stop between them."""

from dataclasses import replace

import pytest
import torch

from benchmarks.models.chunks import ChunkRunner
from benchmarks.models.network import build_network
from benchmarks.objectives import NextToken
from benchmarks.settings.types import BaselineSettings, ODESettings
from odernn import SequenceNetwork

ODE = ODESettings("antisymmetric", "euler", 0.3, 1, "zero-order", "auto", "torch", 6, 1.0, 1.0, 0.1)
NETWORKS = {
    "antisymmetric": ODE,
    "gated": replace(ODE, field="gated-antisymmetric"),
    "oscillator": replace(ODE, field="oscillator", solver="linearly-exact-euler", damping=0.1, frequencies=(0.1, 1.0)),
    "two layers": replace(ODE, layers=2),
    "a solver with memory": replace(ODE, solver="adams-bashforth3"),
    "linear hold": replace(ODE, hold="linear", solver="rk4", substeps=2),
    "embedding": replace(ODE, embedding=3),
    "lstm": BaselineSettings("lstm", 6, 1.0, single_bias=True),
    "gru": BaselineSettings("gru", 6),
    "rnn": BaselineSettings("rnn", 6),
}
SPLITS = ((0, 4), (4, 5), (5, 12), (12, 20))


def network_of(settings: ODESettings | BaselineSettings) -> SequenceNetwork:
    return build_network(settings, input_size=5, objective=NextToken(5), seed=0).double()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 20, 5, dtype=torch.float64)


@pytest.mark.parametrize("name", NETWORKS)
def test_chunks_give_what_the_whole_gives(name: str, x: torch.Tensor) -> None:
    network, run = network_of(NETWORKS[name]), ChunkRunner(carries_state=True)
    parts = [run(network, x[:, first:last], begins=first == 0) for first, last in SPLITS]
    # The same products of matrices, of other shapes, in float64.
    torch.testing.assert_close(torch.cat(parts, dim=1), network(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_sequences_that_begin_know_nothing_of_those_before(name: str, x: torch.Tensor) -> None:
    network, run = network_of(NETWORKS[name]), ChunkRunner(carries_state=True)
    first = run(network, x[:, :8], begins=True)
    continued = run(network, x[:, :8], begins=False)
    again = run(network, x[:, :8], begins=True)
    assert torch.equal(first, again)
    assert not torch.allclose(first, continued)


@pytest.mark.parametrize("name", ["antisymmetric", "two layers", "lstm", "gru"])
def test_fewer_sequences_continue_the_first_ones(name: str, x: torch.Tensor) -> None:
    network, run = network_of(NETWORKS[name]), ChunkRunner(carries_state=True)
    run(network, x[:, :8], begins=True)
    rest = run(network, x[:2, 8:], begins=False)
    # As above.
    torch.testing.assert_close(rest, network(x)[:2, 8:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_stop_between_chunks(name: str, x: torch.Tensor) -> None:
    network, run = network_of(NETWORKS[name]), ChunkRunner(carries_state=True)
    x.requires_grad_()
    run(network, x[:, :8], begins=True)
    run(network, x[:, 8:], begins=False).square().sum().backward()
    assert x.grad is not None
    assert (x.grad[:, :8] == 0).all()
    assert (x.grad[:, 8] != 0).any()


def test_gradients_are_those_of_truncated_backpropagation(x: torch.Tensor) -> None:
    network, run = network_of(ODE), ChunkRunner(carries_state=True)
    weights = list(network.recurrent.parameters())
    loss = sum(run(network, x[:, first : first + 5], begins=first == 0).square().sum() for first in range(0, 20, 5))
    chunked = torch.autograd.grad(loss, weights)
    trajectory, _ = network.recurrent.rnn(x, truncate=5)
    whole = torch.autograd.grad(network.readout(trajectory).square().sum(), weights)
    for one, other in zip(chunked, whole, strict=True):
        # The same sums in another order, in float64.
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_where_no_state_is_carried_batches_are_apart(x: torch.Tensor) -> None:
    network, run = network_of(ODE), ChunkRunner(carries_state=False)
    for begins in (True, False):
        assert torch.equal(run(network, x, begins=begins), network(x))
