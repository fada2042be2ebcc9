"""`python -m benchmarks export`: the network of a trained run as files that `odernn.pretrained` loads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands.arguments import unwritable
from benchmarks.run.export import export
from benchmarks.run.lookup import folder_of
from benchmarks.run.restore import read_ended
from benchmarks.support.errors import OK

SUMMARY = "write a trained run's network as files that odernn.pretrained loads"
DESCRIPTION = """
Write the networks of trained runs, with the weights of their best epochs, as safetensors with a description, checksums
and the results beside them: DIR/<task>/<row>/. `odernn.pretrained("<task>/<row>", folder=DIR)` loads one. Written into
odernn/zoo/weights they are part of the package, and what was there of the same name is replaced.
"""


def main(argv: Sequence[str]) -> int:
    """Writes the files."""
    args = _parser().parse_args(argv)
    runs = [read_ended(folder_of(run, args.out, args.seed), args.data) for run in args.runs]
    for run in runs:
        try:
            place = export(run, args.write)
        except OSError as error:
            raise unwritable(args.write, error) from error
        print(f"written to {place}: odernn.pretrained({str(run.name)!r}, folder={str(args.write)!r})")
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks export", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    run = "folder of a run, <task>/<row>/seed-<n>, or its name, <task>/<row>, beneath --out"
    add("runs", nargs="+", metavar="RUN", help=run)
    add("--write", type=Path, default=Path("exported"), metavar="DIR", help="where they go (default exported)")
    add("--data", type=Path, metavar="DIR", help="folder with the data files of the runs' tasks")
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder above the run folders (default runs)")
    add("--seed", type=int, default=0, metavar="N", help="of the runs, where they are named (default 0)")
    return parser
