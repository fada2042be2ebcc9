"""The native kernels run on as many threads as torch has, with the compiler's OpenMP and without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from odernn.engines import native
from odernn.engines.native.compiler import Compiler
from tests import children

pytestmark = pytest.mark.kernels

WITHOUT_OPENMP = """
import pytest
import torch
from odernn.engines import method as methods, native
from odernn.engines.program import Call
native.load()
ops = torch.ops.odernn_native_testing
assert not ops.has_openmp()
results = []
for threads in (1, 2, 5):
    torch.set_num_threads(threads)
    assert ops.count_threads(13, -1) == threads
    for shard in range(threads):
        with pytest.raises(ValueError, match=f"shard {shard} was told to fail"):
            ops.count_threads(13, shard)
    torch.manual_seed(0)
    y0, weight, samples = torch.randn(13, 8), torch.randn(8, 8), torch.randn(20, 13, 8)
    call = Call(y0, weight, samples, methods.EULER, 0.1)
    saved = native.solve(call, save=True).saved
    gradients = native.pull_back(call, saved, grad_last=torch.ones(13, 8))
    results.append((saved, gradients.y0))
for result in results[1:]:
    assert all(map(torch.equal, result, results[0]))
print("all well")
"""


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


# A compiler that does not know -fopenmp, as Apple's. It does not optimise either, which takes half the time and changes
# no thread.
KNOWS_NO_OPENMP = """#!/bin/sh
for each; do [ "$each" = -fopenmp ] && exit 1; done
exec {command} "$@" -O0
"""


def test_without_openmp_there_are_threads_too(tmp_path: Path):
    """In a process of its own, which builds the kernels as Apple's compiler would, once: some twenty seconds."""
    compiler, script = Compiler.of_environment(), tmp_path / "knows-no-openmp"
    script.write_text(KNOWS_NO_OPENMP.format(command=compiler))
    script.chmod(0o755)
    # The definition is for the key of the build, which is not to be taken for that of a compiler which optimises.
    assert "all well" in children.run(WITHOUT_OPENMP, tmp_path, CXX=f"{script} -DODERNN_NOT_OPTIMISED")
