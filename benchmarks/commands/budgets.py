"""`python -m benchmarks budgets`: what the Triton kernels take of a GPU, which need not be there."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.budgets.kernels import all_kernels, architectures
from benchmarks.budgets.measure import Budget, measure
from benchmarks.budgets.table import read, to_markdown, write
from benchmarks.commands.arguments import make_folder
from benchmarks.support.errors import OK
from benchmarks.support.provenance import find_version

SUMMARY = "compile the Triton kernels for several cards, and read registers and shared memory off them"
DESCRIPTION = """
Compile the kernels of the Triton engine for cards that need not be there, and read off the compiled code what a thread
and a block take: registers, bytes that spill from them, shared memory, instructions of the tensor cores. Writes
budgets.json after each kernel; those that it holds already, of the same text, are not compiled again.
"""


def main(argv: Sequence[str]) -> int:
    """Compiles, writes and shows."""
    args = _parser().parse_args(argv)
    make_folder(args.out)
    path = args.out / "budgets.json"
    known = {(each.kernel, each.architecture): each for each in (read(path) if path.exists() else [])}
    budgets: list[Budget] = []
    for kernel in all_kernels():
        for architecture in architectures(kernel):
            before = known.get((kernel, architecture))
            current = before is not None and before.fingerprint == kernel.fingerprint
            budgets.append(before if before is not None and current else measure(kernel, architecture))
            write(path, budgets, find_version("triton"))
    print(to_markdown(budgets), f"written to {path}", sep="\n\n")
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks budgets", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="folder for the file (default runs)"
    )
    return parser
