"""Singular values and moduli of eigenvalues: of matrices for which both are known."""

import pytest
import torch

from odernn.analysis import conditioning

DOUBLE = torch.float64


def test_a_matrix_that_is_not_normal() -> None:
    found = conditioning(torch.tensor([[[1.0, 4.0], [0.0, 1.0]], [[0.0, 2.0], [-8.0, 0.0]]], dtype=DOUBLE))
    # A shear by 4 stretches by sqrt(5) +- 2; [[0, 2], [-8, 0]] has the eigenvalues +-4i and stretches by 8 and 2.
    stretches = torch.tensor([[5**0.5 + 2, 5**0.5 - 2], [8.0, 2.0]], dtype=DOUBLE)
    torch.testing.assert_close(found.singular_values, stretches)
    # The double eigenvalue of a shear moves by the square root of the rounding.
    torch.testing.assert_close(found.moduli, torch.tensor([[1.0, 1.0], [4.0, 4.0]], dtype=DOUBLE), atol=1e-7, rtol=0)
    torch.testing.assert_close(found.condition_number, stretches[:, 0] / stretches[:, 1])


def test_mean_and_spread_are_over_the_eigenvalues() -> None:
    found = conditioning(torch.diag(torch.tensor([1.0, -3.0])))
    assert found.moduli.tolist() == [3.0, 1.0]
    assert float(found.mean) == 2.0
    assert float(found.std) == 1.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype: torch.dtype) -> None:
    assert conditioning(torch.eye(3, dtype=dtype)).mean == 1


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_matrix_that_is_not_finite_never_reaches_lapack(wrong: float) -> None:
    with pytest.raises(ValueError, match="1 of 9 entries are not finite"):
        conditioning(torch.eye(3).index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(wrong)))


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ([[1.0]], TypeError, "`jacobian` is list"),
        (torch.eye(2, dtype=torch.complex64), TypeError, "`jacobian` is a tensor of torch.complex64"),
        (torch.zeros(2, 3), ValueError, r"`jacobian` has shape \(2, 3\); give square matrices"),
        (torch.zeros(3), ValueError, r"`jacobian` has shape \(3,\)"),
        (torch.zeros(0, 2, 2), ValueError, r"`jacobian` has shape \(0, 2, 2\)"),
    ],
)
def test_what_is_no_square_matrix_is_named(value: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        conditioning(value)  # pyright: ignore[reportArgumentType]
