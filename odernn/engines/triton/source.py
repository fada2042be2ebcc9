"""Text of a kernel: lines with their indentation, and the function that they make."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from typing import Any

_HEAD = """import triton
import triton.language as tl

from odernn.engines.triton.functions import {functions}


"""
_FUNCTIONS = (
    "odernn_expm1, odernn_gathered, odernn_log1p, odernn_of_three, odernn_rounded, odernn_streamed, odernn_tanh"
)


class Source:
    """Lines of Python at a depth that `block` sets."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0

    def __call__(self, *lines: str) -> None:
        """Add lines at the present depth."""
        self.lines += ["    " * self._depth + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What follows stands below `head`."""
        self(head)
        self._depth += 1
        yield
        self._depth -= 1

    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines) + "\n"


@cache
def compiled(name: str, text: str) -> Any:
    """The Triton function `name` of a text; Triton reads it again through `linecache`, as a traceback does."""
    import triton  # noqa: F401  (an optional dependency; the text imports it)

    whole = _HEAD.format(functions=_FUNCTIONS) + text
    file = f"<odernn {name} {sha256(whole.encode()).hexdigest()[:16]}>"
    linecache.cache[file] = (len(whole), None, whole.splitlines(keepends=True), file)
    made: dict[str, Any] = {"__name__": file}
    exec(compile(whole, file, "exec"), made)
    return made[name]
