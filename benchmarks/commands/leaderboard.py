"""`python -m benchmarks leaderboard`: results of runs, in brackets of parameters."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands.arguments import make_folder, unwritable
from benchmarks.leaderboard.board import BRACKETS, collect
from benchmarks.leaderboard.report import document_of
from benchmarks.pages.origin import origin
from benchmarks.pages.write import show_document, write_document
from benchmarks.support.errors import OK, UserError

SUMMARY = "the results of runs in brackets of parameters, with their cost, as a page that sorts"
NAME = "leaderboard"
HERE = Path(__file__).parents[1]
COMMITTED = (HERE / "results", HERE / NAME / "results")
"""The results that come with this repository."""
DESCRIPTION = f"""
Read every result.json beneath some folders, such as those of a pull request, check what each says of itself, and show
them in brackets of at most {", ".join(f"{most:,}" for most in BRACKETS)} parameters: metric on test data, seeds, time,
evaluations and operations a sequence. A file that is broken, or whose settings do not fit its parameters, its weights
or its history, is named with the reason, and the others are shown. Written are a page that a browser opens and that
sorts ({NAME}.html), Markdown, JSON, and a CSV for each bracket. Nothing is trained.
"""


def main(argv: Sequence[str]) -> int:
    """Checks, writes and shows."""
    args = _parser().parse_args(argv)
    board = collect(args.folders or [folder for folder in COMMITTED if folder.is_dir()])
    for each in board.refused:
        print(f"refused: {each.path}: {each.reason}", file=sys.stderr)
    if not board.entries:
        raise UserError("none of the files is a sound result; the lines above say why")
    make_folder(args.write)
    document = document_of(board, origin(NAME, argv))
    try:
        page, *_ = write_document(args.write, document, NAME)
    except OSError as error:
        raise unwritable(args.write, error) from error
    show_document(document)
    print(f"written to {page}, with .md, .json and .csv beside it")
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {NAME}", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add("folders", nargs="*", type=Path, metavar="FOLDER", help="with results in it (default: those of the repository)")
    add("--write", type=Path, default=Path(NAME), metavar="DIR", help=f"folder for the page (default {NAME})")
    return parser
