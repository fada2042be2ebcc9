"""`python -m benchmarks report`: the table from the run folders that exist."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report.curves import draw_curves
from benchmarks.report.embedded import embed
from benchmarks.report.render import show, to_markdown
from benchmarks.report.result import FILE, RunResult, find_results
from benchmarks.report.table import build_table, group_results, notes
from benchmarks.report.unfinished import unfinished
from benchmarks.support.atomic import write_atomically, write_text
from benchmarks.support.errors import OK, UserError

SUMMARY = "the same table from the run folders that exist"
DESCRIPTION = """
Read every result.json beneath a folder, show the table paper | ours | parameters | time for each task, and write it
as Markdown, with the learning curves as PNG. Runs that have not ended are listed before it. Nothing is trained.
With `--into FILE` the tables take the place of those that FILE has between `<!-- table of TASK -->` and
`<!-- end of table -->`, as this project's README does.
"""


def main(argv: Sequence[str]) -> int:
    """Shows and writes the tables."""
    args = _parser().parse_args(argv)
    if not args.out.is_dir():
        raise UserError(f"`--out` is {args.out}, which is not a folder; train something first, or name another")
    results = find_results(args.out)
    if not results:
        raise UserError(f"there is no {FILE} beneath {args.out}; train something first, or name another with `--out`")
    for line in unfinished(args.out):
        print(line)
    write_report(results, sorted({result.task for result in results}), args.write or args.out)
    if args.into is not None:
        _embed(results, args.into)
    return OK


def markdown_tables(results: Sequence[RunResult]) -> dict[str, str]:
    """The table of each task that there are results of, in Markdown."""
    tasks = {result.task for result in results}
    return {task: to_markdown(build_table(task, [each for each in results if each.task == task])) for task in tasks}


def _embed(results: Sequence[RunResult], path: Path) -> None:
    try:
        write_text(path, embed(path.read_text(encoding="utf-8"), markdown_tables(results)))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"`--into` is {path}, which cannot be read or written: {error}") from error
    print(f"written into {path}")


def write_report(results: Sequence[RunResult], tasks: Sequence[str], folder: Path) -> None:
    """Writes a table a task to `report.md`, with a picture `curves-<task>.png` each, and then shows the tables.

    Raises:
        UserError: the folder cannot be written to; the tables are shown all the same.
    """
    by_task = {task: [result for result in results if result.task == task] for task in tasks}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        parts = [_write_task(task, found, folder) for task, found in by_task.items()]
        write_text(folder / "report.md", "\n".join(parts))
    except OSError as error:
        raise UserError(f"the report cannot be written to {folder}: {error}; choose another folder") from error
    finally:
        for task, found in by_task.items():
            show(task, build_table(task, found), notes(found))
    print(f"written to {folder / 'report.md'}")


def _write_task(task: str, results: Sequence[RunResult], folder: Path) -> str:
    picture = f"curves-{task}.png"
    png = draw_curves(task, group_results(results))
    write_atomically(folder / picture, lambda stream: [stream.write(png)].clear())
    table = to_markdown(build_table(task, results))
    return "\n\n".join([f"## {task}", table, *notes(results), f"![learning curves of {task}]({picture})", ""])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks report", description=DESCRIPTION)
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder with run folders in it (default runs)")
    add("--write", type=Path, metavar="DIR", help="folder for report.md and the pictures (default: that of --out)")
    add("--into", type=Path, metavar="FILE", help="a text whose marked tables are brought up to date")
    return parser
