"""Programs that wait for one another, under the interpreter, which runs one after the other: a process for each."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import Tensor
from triton.runtime import interpreter

from odernn.engines.triton import launch, programs
from odernn.engines.triton.layout import Layout
from tests.odernn.engines.triton.streamed import BLOCK


@contextmanager
def together(room: int) -> Iterator[list[int]]:
    """Blocks of rows are shared by as many programs as 16 units each make; yields how many, by launch.

    Args:
        room: bytes of shared memory of a program: too little for its part of K, and that is streamed.
    """
    launched, waiting = list[int](), list[int]()
    run = interpreter.GridExecutor.__call__

    def spread(layout: Layout, y: Tensor, weight: Tensor) -> Layout:
        found = programs.spread_over(layout, len(y), 1, 1000, room)
        assert (found.stream is None) == (room > BLOCK)
        launched.append(found.spread)
        waiting.append(found.spread)  # for the kernel that is launched next
        return found

    def in_processes(self: Any, *given: Any, **options: Any) -> None:
        if not waiting:  # of a kernel whose programs share nothing
            return run(self, *given, **options)
        count = waiting.pop()
        for each in given:
            if isinstance(each, Tensor):
                each.share_memory_()
        children = [_fork(run, self, number, count, given, options) for number in range(count)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * count

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(programs, "NARROWEST", 16)
        patched.setattr(launch, "spread_on", spread)
        patched.setattr(interpreter.GridExecutor, "__call__", in_processes)
        patched.setattr(interpreter.GridExecutor, "_restore_args_dev", lambda *_: None)  # they are the host's own
        yield launched


def _fork(run: Any, executor: Any, number: int, count: int, given: Any, options: Any) -> int:
    """In a child, the programs of one number of those that share a block of rows."""
    if (child := os.fork()) != 0:
        return child
    code = 1
    try:
        builder, (programs, *others) = interpreter.interpreter_builder, executor.grid
        size, place = builder.set_grid_dim, builder.set_grid_idx
        builder.set_grid_dim = lambda nx, ny, nz: size(nx * count, ny, nz)
        builder.set_grid_idx = lambda x, y, z: place(x * count + number, y, z)
        executor.grid = (programs // count, *others)
        run(executor, *given, **options)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)
