"""`python -m benchmarks figures`: the paper's figures and those of our own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands.arguments import chosen, make_folder, names, unwritable
from benchmarks.figures.networks import Request
from benchmarks.figures.picture import write_picture
from benchmarks.figures.registry import FIGURES
from benchmarks.figures.trained import read_trained
from benchmarks.support.errors import OK

SUMMARY = "draw the paper's figures and those of our own, with their numbers"
DESCRIPTION = """
Draw the paper's Figure 1 (trajectories of two units) and Figure 2 (the end-to-end Jacobian against the length), each
under other solvers too; the stability region of every solver with a network's eigenvalues; the energy against time;
and error against work. Each becomes a PNG, an SVG and a CSV with the numbers. Without `--run` the networks are
untrained.
"""
SEQUENCES = 2
"""Validation samples that a run's network is driven by."""


def main(argv: Sequence[str]) -> int:
    """Draws and writes."""
    args = _parser().parse_args(argv)
    wanted = chosen("--only", args.only or (), FIGURES) or list(FIGURES)
    trained = None if args.run is None else read_trained(args.run, args.data, SEQUENCES)
    make_folder(args.out)
    for name in wanted:
        picture = FIGURES[name](Request(trained, args.small))
        try:
            png, *_ = write_picture(args.out, name, picture)
        except OSError as error:
            raise unwritable(args.out, error) from error
        print(f"written to {png}, with .svg and .csv beside it")
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks figures", description=DESCRIPTION)
    add = parser.add_argument
    add("--only", type=names, metavar="NAME,NAME", help=f"of {', '.join(FIGURES)} (default: all)")
    add("--run", type=Path, metavar="DIR", help="folder of a run, <task>/<row>/seed-<n>, whose network is shown")
    add("--data", type=Path, metavar="DIR", help="folder with the data files of the run's task")
    add("--small", action="store_true", help="fewer units, samples and points: a quick look")
    add("--out", type=Path, default=Path("runs") / "figures", metavar="DIR", help="where to (default runs/figures)")
    return parser
