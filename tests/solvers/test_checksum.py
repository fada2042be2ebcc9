"""The checksum of a tensor: the same for the same values, another for any of the usual changes."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from solvers.adjoints.checksum import checksum, differs

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SHAPES = [(4,), (3, 5), (2, 20_000)]  # the last is of several blocks


def values(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """As many positive as negative, so that a sum of the bits is blind to a change of all signs."""
    half = torch.rand(*shape, dtype=torch.float64) + 0.5
    return torch.where(torch.arange(half.numel()).reshape(shape) % 2 == 0, half, -half).to(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_of_the_values_alone(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = values(shape, dtype)
    assert checksum(x) == checksum(x.clone()) == checksum(torch.nn.Parameter(x))
    assert checksum(x) == checksum(x.unsqueeze(-1).expand(*shape, 2)[..., 0])  # not contiguous
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert checksum(x.clone()) == checksum(x)
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_sees_a_change(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = values(shape, dtype)
    one = x.clone()
    one.view(-1)[-1] = 3.0
    swapped = x.clone()
    swapped.view(-1)[[0, 3]] = x.view(-1)[[3, 0]]
    changed = [-x, 2 * x, x.flip(-1), torch.zeros_like(x), one, swapped, x.abs()]
    sums = [checksum(x), *map(checksum, changed)]
    assert len(set(sums)) == len(sums)


@pytest.mark.parametrize(
    "x", [torch.zeros(3, device="meta"), torch.zeros(0), torch.zeros(3, dtype=torch.int64), torch.zeros(3).to_sparse()]
)
def test_it_is_of_ordinary_numbers_only(x: Tensor) -> None:
    assert checksum(x) is None


def test_where_there_is_none_nothing_differs() -> None:
    x = torch.ones(3)
    found = checksum(x)
    with FlopCounterMode(display=False):
        assert checksum(x) is None
        assert not differs(2 * x, found)
    assert differs(2 * x, found)
    assert not differs(x, found)
    assert not differs(2 * x, None)
