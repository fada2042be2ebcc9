"""`python -m benchmarks robustness`: trained networks on perturbed images, under one scheme or several."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands.arguments import count, counts, make_folder, unwritable
from benchmarks.compare.schemes import solver_names
from benchmarks.pages.origin import origin
from benchmarks.pages.write import show_document, write_document
from benchmarks.robustness.measure import measure
from benchmarks.robustness.report import document_of
from benchmarks.robustness.store import Store
from benchmarks.robustness.suite import SUITE
from benchmarks.robustness.trained import check_distinct, read_trained
from benchmarks.run.lookup import folder_of
from benchmarks.support.errors import OK
from benchmarks.support.threads import threads

SUMMARY = "try trained networks on noisy and adversarial images, under their own scheme or others"
NAME = "robustness"
DESCRIPTION = f"""
Score trained networks that classify images read pixel by pixel on perturbed test images: the suite {SUITE.title},
which is white noise, multiplicative noise, salt and pepper, and adversarial steps along the gradient, each at several
levels, with the same noise for every network. With --solvers each network runs under these too, with the same weights.
The result is a table in the terminal, a page that a browser opens ({NAME}.html), Markdown, CSV, JSON and a picture.
Nothing is trained. What is stopped goes on where it was when the same command is given again.
"""


def main(argv: Sequence[str]) -> int:
    """Measures, writes and shows."""
    args = _parser().parse_args(argv)
    solvers = solver_names(args.solvers) if args.solvers else []
    source = origin(NAME, argv)
    folders = [folder_of(run, args.out, args.seed) for run in args.runs]
    trained = [read_trained(folder, args.data, args.limit) for folder in folders]
    check_distinct(trained)
    write = args.write or args.out / NAME
    make_folder(write)
    try:
        with threads(args.threads):
            store = Store(write, SUITE, args.limit)
            found = measure(trained, SUITE, solvers, args.substeps, store, _tell)
        document = document_of(found, source)
        page, *_ = write_document(write, document, NAME)
    except OSError as error:
        raise unwritable(write, error) from error
    show_document(document)
    print(f"written to {page}, with .md, .json, .csv and the picture beside it")
    return OK


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {NAME}", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    run = "folder of a run, <task>/<row>/seed-<n>, or its name, <task>/<row>, beneath --out"
    add("runs", nargs="+", metavar="RUN", help=run)
    add("--solvers", metavar="NAME,NAME", help="that step each network too, or all (default: its own scheme only)")
    add("--substeps", type=counts, default=[1], metavar="N,N", help="of each of these solvers (default 1)")
    add("--limit", type=count, metavar="N", help="test images, the first ones, for a quick look (default: all)")
    add("--threads", type=count, metavar="N", help="of torch (default: torch's own choice)")
    add("--data", type=Path, metavar="DIR", help="folder with the data files of the runs' tasks")
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder above the run folders (default runs)")
    add("--seed", type=int, default=0, metavar="N", help="of the runs, where they are named (default 0)")
    add("--write", type=Path, metavar="DIR", help=f"folder for the results (default: {NAME} beneath --out)")
    return parser
