"""Law: an operator in blocks of intervals, as the CUDA graphs play it, is the operator on the whole."""

import pytest
import torch

from odernn.engines.operators import Cotangents, Wants
from odernn.engines.program import Call
from odernn.engines.torch import operators
from odernn.engines.torch.in_blocks import pull_back_in_blocks, solve_in_blocks
from tests.odernn.engines.native.calls import make_call
from tests.odernn.engines.triton.cases import Case, call, cases
from tests.pairs import crossed
from tests.reference import LINEAR_METHODS

BOUND = 1e-12  # float64; the same operations on fewer rows, and sums in another order


@pytest.mark.parametrize("intervals", [1, 2])
@pytest.mark.parametrize("case", cases(), ids=str)
def test_blocks_are_the_whole(case: Case, intervals: int) -> None:
    check(call(case, torch.float64, "cpu"), intervals)


@crossed(
    {"name": list(LINEAR_METHODS), "dt": ["number", "time", "batch"], "substeps": [1, 2], "carry": [False, True]},
    # the slopes of the Adams methods are not kept, and no block but the first could be made again
    where=lambda name, dt, substeps, carry: dt != "number" or not name.startswith("adams"),
)
def test_blocks_of_a_method_that_carries_several_vectors(name: str, dt: str, substeps: int, carry: bool) -> None:
    check(make_call(LINEAR_METHODS[name], dt=dt, substeps=substeps, carry=carry), 3)


def check(made: Call, intervals: int) -> None:
    given = (made.operands, made.program)
    whole = operators.solve(*given, True)
    assert_close(solve_in_blocks(operators.solve, intervals, *given, True), whole)
    assert_close(solve_in_blocks(operators.solve, intervals, *given, False)[1:3], whole[1:3])
    torch.manual_seed(0)
    weights = [torch.randn_like(each) if each.numel() else None for each in whole[:3]]
    back = (*given, Cotangents(whole[0], whole[3], *weights), Wants(True, True))
    assert_close(pull_back_in_blocks(operators.pull_back, intervals, *back), operators.pull_back(*back))


def assert_close(have: tuple[torch.Tensor, ...], want: tuple[torch.Tensor, ...]) -> None:
    for one, other in zip(have, want, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, rtol=BOUND, atol=BOUND)
