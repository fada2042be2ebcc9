"""Law: a matrix of 2 x 2 blocks is its dense form, in products and in functions."""

import pytest
import torch
from torch import Tensor

from solvers import SOLVERS, BlockDiagonal, ExponentialRungeKutta, Semilinear, integrate, make_solver
from solvers.extend import apply_matrix
from solvers.methods.phi import phi_of

DOUBLE = torch.float64
EXPONENTIAL = [name for name, solver in SOLVERS.items() if issubclass(solver, ExponentialRungeKutta)]


def test_of_one_block() -> None:
    block = BlockDiagonal(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).unsqueeze(-1))
    assert torch.equal(block.dense(), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert torch.equal(apply_matrix(block, torch.tensor([5.0, 6.0])), torch.tensor([17.0, 39.0]))


def test_dense_and_back() -> None:
    blocks = torch.randn(2, 2, 5, dtype=DOUBLE)
    dense = BlockDiagonal(blocks).dense()
    for row in range(2):
        for column in range(2):
            quarter = dense[5 * row : 5 * row + 5, 5 * column : 5 * column + 5]
            assert torch.equal(quarter, torch.diag(blocks[row, column]))
    assert torch.equal(BlockDiagonal.of_dense(dense).blocks, blocks)


@pytest.mark.parametrize("shape", [(), (3,), (4, 3)])
def test_product(shape: tuple[int, ...]) -> None:
    matrix, y = BlockDiagonal(torch.randn(2, 2, 5, dtype=DOUBLE)), torch.randn(*shape, 10, dtype=DOUBLE)
    torch.testing.assert_close(apply_matrix(matrix, y), y @ matrix.dense().T, rtol=0, atol=1e-14)


def test_one_matrix_a_sample() -> None:
    matrix, y = BlockDiagonal(torch.randn(3, 2, 2, 5, dtype=DOUBLE)), torch.randn(3, 10, dtype=DOUBLE)
    expected = torch.stack([y[i] @ matrix.dense()[i].T for i in range(3)])
    torch.testing.assert_close(apply_matrix(matrix, y), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("highest", [0, 1, 2])
@pytest.mark.parametrize("dt", [0.3, torch.tensor(0.3, dtype=DOUBLE), torch.tensor([[0.3], [0.7]], dtype=DOUBLE)])
def test_functions(dt: float | Tensor, highest: int) -> None:
    """Of general blocks, which have real and complex eigenvalues, and of a singular one."""
    blocks = torch.randn(2, 2, 5, dtype=DOUBLE)
    blocks[..., 0] = 0
    matrix = BlockDiagonal(blocks)
    for found, wanted in zip(phi_of(matrix, dt, highest), phi_of(matrix.dense(), dt, highest), strict=True):
        torch.testing.assert_close(BlockDiagonal(found).dense(), wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("solver", EXPONENTIAL)
def test_a_method_takes_either(solver: str) -> None:
    matrix, y0 = BlockDiagonal(torch.randn(2, 2, 3, dtype=DOUBLE)), torch.randn(2, 6, dtype=DOUBLE)
    ends = [
        integrate(
            Semilinear(linear, lambda t, y: torch.tanh(y.roll(1, -1)) + torch.sin(torch.as_tensor(t))),
            y0,
            t1=2.0,
            dt=0.1,
            solver=make_solver(solver),
            save="end",
        ).y
        for linear in (matrix, matrix.dense())
    ]
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-12)  # twenty steps
