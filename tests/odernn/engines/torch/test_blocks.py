"""Law: an operator in blocks of intervals, as the CUDA graphs play it, is the operator on the whole."""

import pytest
import torch

from odernn.engines.operators import Cotangents, Wants
from odernn.engines.torch import operators
from odernn.engines.torch.graphs import pull_back_in_blocks, solve_in_blocks
from tests.odernn.engines.triton.cases import Case, call, cases

BOUND = 1e-12  # float64; the same operations on fewer rows, and sums in another order


@pytest.mark.parametrize("intervals", [1, 2])
@pytest.mark.parametrize("case", cases(), ids=str)
def test_blocks_are_the_whole(case: Case, intervals: int) -> None:
    made = call(case, torch.float64, "cpu")
    given = (made.operands, made.program)
    whole = operators.solve(*given, True)
    assert_close(solve_in_blocks(operators.solve, intervals, *given, True), whole)
    assert_close(solve_in_blocks(operators.solve, intervals, *given, False)[1:], whole[1:])
    torch.manual_seed(0)
    weights = [torch.randn_like(each) if each.numel() else None for each in whole]
    back = (*given, Cotangents(whole[0], *weights), Wants(True, True))
    assert_close(pull_back_in_blocks(operators.pull_back, intervals, *back), operators.pull_back(*back))


def assert_close(have: tuple[torch.Tensor, ...], want: tuple[torch.Tensor, ...]) -> None:
    for one, other in zip(have, want, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, rtol=BOUND, atol=BOUND)
