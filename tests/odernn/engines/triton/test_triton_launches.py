"""Law: a call of the Triton engine launches so much and no more, as docs/gpu.md says, and waits for nothing."""

import pytest
import torch

from odernn import FIELDS, ODERNN, AntisymmetricField
from odernn.engines.method import EULER
from odernn.engines.program import Call, Operands, Program
from odernn.layer import rectangle
from tests.odernn.engines.triton.launches import Launches

FORWARD = ["new_zeros", "triu_indices", "add", "new_zeros", "scatter", "sub", "advance"]
"""The initial state, K of its upper entries, and the kernel."""
BACKWARD = ["neg", "add", "gather"]
"""From dL/dK to dL by the upper entries."""
OPERATOR = [
    *("zeros_like", "cat", "matmul", "linearise", "recur"),
    *("matmul", "matmul", "new_ones", "matmul"),
]
"""dL by the last state, the derivatives at all times, the recursion, and dL by K, V and b."""


def test_a_forward_and_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    field, x = AntisymmetricField(1, 8, device="meta"), torch.empty(5, 3, 1, device="meta")
    rnn = ODERNN(field, "euler", dt=0.1, engine="triton", on_divergence="ignore")
    with Launches(monkeypatch) as forward:
        output, _ = rnn(x)
    with Launches(monkeypatch) as backward:
        output.backward(torch.empty_like(output))
    assert forward.names == FORWARD
    assert backward.names == [*OPERATOR, *BACKWARD]


@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize(
    ("field", "solver"),
    [
        ("antisymmetric", "rk4"),
        ("gated-antisymmetric", "heun"),
        ("hamiltonian", "leapfrog"),
        ("oscillator", "linearly-exact-euler"),
        ("lipschitz", "leapfrog-midpoint"),
    ],
)
def test_nothing_waits_for_the_device(field: str, solver: str, hold: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a CUDA graph takes it: `Launches` refuses what reads a value."""
    rnn = ODERNN(FIELDS[field](2, 8, device="meta"), solver, dt=0.1, hold=hold, engine="triton", on_divergence="ignore")
    x = torch.empty(5, 3, 2, device="meta", requires_grad=True)
    with Launches(monkeypatch) as launches:
        output, _ = rnn(x)
        output.backward(torch.empty_like(output))
    assert launches.names.count("advance") == launches.names.count("recur") == 1
    assert "linearise" in launches.names


def test_padded_sequences_of_several_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are a rectangle already: what is launched besides finds the ends, and puts nothing there."""
    monkeypatch.setattr(rectangle, "pads_cheaply", lambda _: True)
    rnn = ODERNN(AntisymmetricField(1, 8), "euler", dt=0.1, engine="triton", on_divergence="ignore")
    with Launches(monkeypatch, host=True) as forward:
        output, _ = rnn(torch.zeros(5, 3, 1), lengths=[2, 5, 4])
    with Launches(monkeypatch, host=True) as backward:
        output.backward(torch.zeros_like(output))
    assert len(forward.names) == len(FORWARD) + 15
    assert len(backward.names) == len([*OPERATOR, *BACKWARD]) + 3


def rows_of(lengths: list[int]) -> Operands:
    """A storage of sequences, the longest first."""
    made = Call(
        y0=torch.zeros(len(lengths), 8),
        weight=torch.zeros(8, 8),
        samples=torch.zeros(sum(lengths), 1),
        method=EULER,
        dt=0.1,
        input_weight=torch.zeros(8, 1),
        bias=torch.zeros(8),
        index=torch.arange(sum(lengths)),
        lengths=torch.tensor(lengths),
    )
    return made.operands


@pytest.mark.parametrize(("lengths", "more"), [([5, 3, 1], 0), ([5, 3, 0], 1)])
def test_sequences_of_several_lengths(lengths: list[int], more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the samples lie is made in each pass, and rows without a sample are copied beside the others."""
    operands, program = rows_of(lengths), Program(EULER, packed=True)
    with Launches(monkeypatch, host=True) as forward:
        saved, last, *_, kept = torch.ops.odernn_triton.solve(*operands, program.text, True)
    given = saved, kept, torch.zeros_like(saved), last
    with Launches(monkeypatch, host=True) as backward:
        torch.ops.odernn_triton.pull_back(*given, None, *operands, program.text, False, False)
    assert len(forward.names) == 11 + more
    assert len(backward.names) == 19 + more
