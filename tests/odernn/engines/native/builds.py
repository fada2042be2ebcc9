"""Builds of kernels that tests need besides the ordinary one, without optimisation: nobody waits for what they do."""

import os
from pathlib import Path

import pytest
import torch

from odernn import ODERNN
from odernn.engines import native
from odernn.engines.method import EULER
from odernn.engines.native.compiler import Compiler
from odernn.engines.program import Call
from tests.odernn.engines.native.fields import Coupled, Every
from tests.odernn.fields.stated import Stated

# The last -O counts.
SCRIPT = """#!/bin/sh
{before}exec {command} "$@" -O0
"""
# A compiler that does not know -fopenmp, as Apple's.
KNOWS_NO_OPENMP = 'for each; do [ "$each" = -fopenmp ] && exit 1; done\n'


def unoptimising(folder: Path, *, knows_openmp: bool = True) -> str:
    """The machine's compiler with -O0, as the environment variable CXX has it: half the time.

    The definition is for the key of the build, which is not to be taken for that of a compiler which optimises.
    """
    script = folder / ("unoptimising" if knows_openmp else "knows-no-openmp")
    if not script.exists():
        new = folder / f"{script.name}.{os.getpid()}"
        new.write_text(SCRIPT.format(before="" if knows_openmp else KNOWS_NO_OPENMP, command=Compiler.of_environment()))
        new.chmod(0o755)
        new.replace(script)
    return f"{script} -DODERNN_NOT_OPTIMISED"


def built(folder: Path, full: bool) -> str:
    """Build the package's kernels as Apple's compiler would, say how these are, and build those of the fields."""
    os.environ["CXX"] = unoptimising(folder, knows_openmp=False)
    native.load()
    check_threads()
    os.environ["CXX"] = unoptimising(folder)
    for field in (Every(), Coupled(("dense", "dense"), told=False), Stated()):
        ODERNN(field, "euler", dt=0.1).compile_kernels()
    return "all well"


def check_threads() -> None:
    """Without OpenMP there are as many threads as torch has; no number depends on how many, and their errors arrive."""
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
        call = Call(y0, weight, samples, EULER, 0.1)
        saved = native.solve(call, save=True).saved
        gradients = native.pull_back(call, saved, grad_last=torch.ones(13, 8))
        results.append((saved, gradients.y0))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))
