"""The packages of kernels for a GPU: their layers by forms that run anywhere, and what they say where they do not."""

import sys

import pytest
import torch

from benchmarks.speed.case import Case, Shape
from benchmarks.speed.contender import UnavailableError
from benchmarks.speed.gpu_peers import FlashLSTM, ResetLayer, _peer, gpu_peers
from benchmarks.speed.problem import draw

SHAPE = Shape(5, 3, 8, 2)
X = torch.randn(SHAPE.time, SHAPE.batch, SHAPE.inputs)


@pytest.mark.parametrize("end", [False, True])
def test_flashrnns_layer_gives_states_with_time_first(end: bool) -> None:
    pytest.importorskip("flashrnn", reason="an optional peer")
    layer = FlashLSTM(SHAPE.inputs, SHAPE.units, "vanilla", end=end)
    found = layer(X)
    assert found.shape == ((SHAPE.batch, SHAPE.units) if end else (SHAPE.time, SHAPE.batch, SHAPE.units))
    grads = torch.autograd.grad(found.sum(), [*layer.parameters()])
    assert all(each.any() for each in grads)
    torch.testing.assert_close(layer(X[:, :1]), found[..., :1, :])  # a row is the row alone: the axes are not mixed up


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_torchrls_layer_is_torchs_where_nothing_is_reset(cell: str, end: bool) -> None:
    pytest.importorskip("torchrl", reason="an optional peer")
    layer = ResetLayer(cell, SHAPE.inputs, SHAPE.units, "pad", end=end)  # pyright: ignore[reportArgumentType]
    output, _ = layer.layer.get_submodule(cell)(X.transpose(0, 1))
    torch.testing.assert_close(layer(X), output[:, -1] if end else output.transpose(0, 1))


def test_a_state_that_is_no_whole_number_of_heads_is_refused() -> None:
    with pytest.raises(UnavailableError, match="65 units are not 2 heads of the same size"):
        FlashLSTM(1, 65, "triton_fused", end=True)


@pytest.mark.parametrize("peer", gpu_peers(), ids=lambda peer: peer.name)
def test_a_package_that_is_not_there_says_how_it_comes(peer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("flashrnn", "torchrl.modules", "tensordict"):
        monkeypatch.setitem(sys.modules, name, None)  # which Python takes for a module that is not there
    with pytest.raises(UnavailableError, match=r"not installed; `pip install (flashrnn|torchrl)` brings it"):
        peer.make(draw(Case(SHAPE), torch.device("cpu")))


@pytest.mark.parametrize("peer", gpu_peers(), ids=lambda peer: peer.name)
def test_they_want_a_gpu_and_a_whole_sequence(peer) -> None:
    assert peer.devices == ("cuda",)
    assert peer.refusal(Case(SHAPE)) is None
    assert peer.refusal(Case(SHAPE, work="streaming")) == "takes a whole sequence"


def test_kernels_that_fail_are_a_reason_and_no_end() -> None:
    """FlashRNN's for an LSTM do not compile under Triton 3.6: exp takes no bfloat16 there."""

    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("at 2:18:\n\nExpected dtype fp32 but got bf16\n")

    peer = _peer("broken", lambda inputs, units, *, end: Broken())
    with pytest.raises(UnavailableError, match="its kernels fail here: ValueError: Expected dtype fp32 but got bf16"):
        peer.make(draw(Case(SHAPE), torch.device("cpu"))).time()
