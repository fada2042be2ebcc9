"""Law: a call of the Triton engine launches so much and no more, as docs/gpu.md says, and waits for nothing."""

import pytest
import torch

from odernn import ODERNN, AntisymmetricField
from odernn.fields.field import VectorField
from tests.odernn.engines.triton.launches import Launches

FORWARD = ["new_zeros", "triu_indices", "new_zeros", "index_put", "sub", "advance"]
"""The initial state, K of its upper entries, and the kernel."""
BACKWARD = ["neg", "add", "index"]
"""From dL/dK to dL by the upper entries."""
OPERATOR = [
    *("zeros_like", "linear", "cat", "matmul", "add_", "tanh_", "new_full", "addcmul", "recur"),
    *("matmul", "matmul", "sum"),
]
"""dL by the last state, the derivatives at all times, the kernel, and dL by K, V and b."""


def layer(field: VectorField, **options: object) -> ODERNN:
    return ODERNN(field, "euler", dt=0.1, engine="triton", on_divergence="ignore", **options)  # pyright: ignore


def test_a_forward_and_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    rnn, x = layer(AntisymmetricField(1, 8, device="meta")), torch.empty(5, 3, 1, device="meta")
    with Launches(monkeypatch) as forward:
        output, _ = rnn(x)
    with Launches(monkeypatch) as backward:
        output.backward(torch.empty_like(output))
    assert forward.names == FORWARD
    assert backward.names == [*OPERATOR, *BACKWARD]
