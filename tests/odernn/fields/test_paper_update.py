"""Law: one Euler step of a field is the paper's update, to the last bit of rounding."""

from math import isclose, sqrt
from typing import Any

import pytest
import torch

from odernn import ODERNN, AntisymmetricField, AntisymmetricRNN, GatedAntisymmetricField
from solvers import Euler

DOUBLE = torch.float64
EPSILON, GAMMA = 0.1, 0.05
# The same products summed in another order by the library: a few units in the last place of numbers of size one.
ROUNDING: dict[str, Any] = {"rtol": 0, "atol": 4 * torch.finfo(DOUBLE).eps}


def paper_matrix(rnn: ODERNN, n: int) -> torch.Tensor:
    """W - W^T - gamma I from the n(n-1)/2 strictly upper entries of W, row by row, written out entry by entry."""
    entries = iter(rnn.field.get_parameter("recurrent.upper").tolist())
    m = torch.full((n, n), 0.0, dtype=DOUBLE)
    for i in range(n):
        m[i, i] = -GAMMA
        for j in range(i + 1, n):
            m[i, j] = next(entries)
            m[j, i] = -m[i, j]
    return m


@pytest.mark.parametrize("gated", [False, True])
def test_one_step_is_the_papers(gated: bool) -> None:
    n, m, batch = 7, 3, 5
    rnn = AntisymmetricRNN(m, n, epsilon=EPSILON, gamma=GAMMA, gated=gated, dtype=DOUBLE)
    layer = rnn.layers[0]
    assert isinstance(layer, ODERNN)
    field = layer.field
    v, b = field.get_parameter("input_map.weight"), field.get_parameter("input_map.bias")
    torch.nn.init.normal_(b)
    x, y = torch.randn(1, batch, m, dtype=DOUBLE), torch.randn(1, batch, n, dtype=DOUBLE)
    p = torch.einsum("ij,bj->bi", paper_matrix(layer, n), y[0])
    update = torch.tanh(p + x[0] @ v[:n].T + b[:n])
    if gated:
        update = torch.sigmoid(p + x[0] @ v[n:].T + b[n:]) * update
    torch.testing.assert_close(rnn(x, y)[1][0], y[0] + EPSILON * update, **ROUNDING)


@pytest.mark.parametrize("gated", [False, True])
def test_a_sequence_is_the_papers_recurrence(gated: bool) -> None:
    field = (GatedAntisymmetricField if gated else AntisymmetricField)(2, 6, damping=GAMMA, dtype=DOUBLE)
    rnn = ODERNN(field, Euler(), dt=EPSILON)
    x = torch.randn(20, 3, 2, dtype=DOUBLE)
    output, y_n = rnn(x)
    one = ODERNN(field, Euler(), dt=EPSILON)
    y = None
    for n in range(20):
        _, y = one(x[n : n + 1], y)
        torch.testing.assert_close(y[0], output[n], **ROUNDING)
    assert torch.equal(y_n[0], output[-1])


@pytest.mark.parametrize(("gated", "parameters"), [(False, 9_674), (True, 9_930)])
def test_parameter_counts_of_the_paper(gated: bool, parameters: int) -> None:
    """With the readout of ten classes, on one input a step."""
    rnn = AntisymmetricRNN(1, 128, epsilon=0.01, gamma=0.01, gated=gated)
    readout = torch.nn.Linear(128, 10)
    assert sum(p.numel() for module in (rnn, readout) for p in module.parameters()) == parameters


def test_weights_are_drawn_as_the_paper_says() -> None:
    n, m, sigma = 400, 100, 4.0
    field = GatedAntisymmetricField(m, n, sigma_w=sigma)
    # 79,800 and 80,000 draws: the sample deviation is within 1% of the true one, four standard errors
    assert isclose(float(field.recurrent.upper.detach().std()), sigma / sqrt(n), rel_tol=0.01)
    assert isclose(float(field.input_map.weight.detach().std()), 1 / sqrt(m), rel_tol=0.01)
    assert not field.input_map.bias.any()


def test_the_fastest_frequency_is_about_twice_sigma() -> None:
    matrix = AntisymmetricField(1, 600, sigma_w=3.0).weight().detach()
    eigenvalues = torch.linalg.eigvals(matrix)
    assert float(eigenvalues.real.abs().max()) < 1e-4  # rounding of float32
    assert isclose(float(eigenvalues.imag.abs().max()), 2 * 3.0, rel_tol=0.05)  # the edge of the semicircle, n = 600
