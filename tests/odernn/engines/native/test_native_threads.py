"""The native kernels run on as many threads as torch has, with the compiler's OpenMP and without it."""

from __future__ import annotations

import pytest
import torch

from odernn.engines import native
from tests.ahead import folder_of, said
from tests.odernn.engines.native.builds import built

pytestmark = pytest.mark.kernels


@pytest.fixture(autouse=True)
def as_before():
    """torch's number of threads is as before afterwards."""
    native.load()
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_every_thread_of_torch_has_a_shard(threads):
    torch.set_num_threads(threads)
    assert torch.ops.odernn_native_testing.count_threads(13, -1) == threads
    assert torch.ops.odernn_native_testing.count_threads(2, -1) == min(threads, 2)  # a shard has one row at least


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_shard_reaches_the_caller(threads):
    torch.set_num_threads(threads)
    for shard in range(threads):
        with pytest.raises(ValueError, match=f"shard {shard} was told to fail"):
            torch.ops.odernn_native_testing.count_threads(13, shard)
    assert torch.ops.odernn_native_testing.count_threads(13, -1) == threads


@pytest.mark.ahead.with_args(built)
def test_without_openmp_there_are_threads_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert said(built, folder_of(tmp_path_factory), full=False) == "all well"
