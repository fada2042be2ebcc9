"""`python -m benchmarks compare`: one network under many schemes, or one run trained by each at the same cost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks.commands.arguments import count, counts, make_folder, unwritable
from benchmarks.compare import same_cost, same_weights
from benchmarks.compare.measure import compare
from benchmarks.compare.plan import MODES
from benchmarks.compare.schemes import DEFAULT, SUBSTEPS, choose, refusal_of, solver_names
from benchmarks.compare.subject import read_subject
from benchmarks.compare.training import train_schemes
from benchmarks.pages.document import Document
from benchmarks.pages.origin import origin
from benchmarks.pages.write import show_document, write_document
from benchmarks.run.budget import BUDGETS, budget_options
from benchmarks.run.lookup import folder_of
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.support.atomic import WriteError
from benchmarks.support.errors import FAILED, OK, UserError
from benchmarks.tasks.samples import Part

SUMMARY = "compare discretisation schemes: the same weights under each, or each trained at the same cost"
DESCRIPTION = """
Run one trained network, with the same weights, under many solvers and steps, and compare what comes out: the task's
metric, evaluations, time, distance to the flow, stability, gradients, energy. The result is a table in the terminal, a
page that a browser opens (comparison.html), Markdown, CSV, JSON, and the pictures as PNG and SVG. Nothing is trained
unless `--train` asks for it: then the run RUN is trained by each scheme in turn, within the same time or the same
number of evaluations of the field, and the learning curves are compared. Options of `train RUN` may follow then:
--model.dt 0.1. What is stopped goes on where it was when the same command is given again.
"""


def main(argv: Sequence[str]) -> int:
    """Compares, writes and shows."""
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    if args.train is not None:
        return _same_cost(args, rest, argv)
    if rest:
        parser.error(f"{rest[0]} is not an option; options of `train` are for `--train`")
    if args.epochs is not None or args.budget is not None:
        raise UserError("`--epochs` and `--budget` are for `--train`; without it nothing is trained")
    return _same_weights(args, argv)


def _same_weights(args: argparse.Namespace, argv: Sequence[str]) -> int:
    names, source = solver_names(args.solvers), origin("compare", argv)
    folder = folder_of(args.run, args.out, args.seed, ", or ask for `--train`")
    subject = read_subject(folder, args.data, args.part, args.samples, args.sequences)
    write = args.write or folder / "compare"
    make_folder(write)
    schemes, left_out = choose(subject.own, names, args.substeps, refusal_of(subject.rnn))
    found = compare(subject, schemes, left_out, length=args.length, repeats=args.repeats, tell=_tell)
    _finish(same_weights.document_of(found, source), write)
    return OK


def _same_cost(args: argparse.Namespace, rest: Sequence[str], argv: Sequence[str]) -> int:
    names, source = solver_names(args.solvers), origin("compare", argv)
    spec = _spec(args, rest)
    write = args.write or args.out / "compare" / args.train / spec.name.task / spec.name.row
    make_folder(write)
    try:
        found = train_schemes(spec, args.train, names, args.substeps, write, args.jobs)
    except WriteError as error:
        raise unwritable(write, error) from error
    _finish(same_cost.document_of(found, source), write)
    return OK if all(run.result.status == "finished" for run in found.runs) else FAILED


def _spec(args: argparse.Namespace, rest: Sequence[str]) -> RunSpec:
    """The run that is trained by each scheme, with its budget."""
    name = find_run(args.run)
    options = ["--seed", str(args.seed)]
    if args.budget is not None:
        options += budget_options(args.budget, name.task, read_settings(name, rest), lambda: _train_samples(args))
    if args.epochs is not None:
        options += ["--epochs", str(args.epochs)]
    return RunSpec(name, read_settings(name, [*options, *rest]), Path(), args.data, progress="lines")


def _train_samples(args: argparse.Namespace) -> int:
    name = find_run(args.run)
    task = make_task(RunSpec(name, read_settings(name), Path(), args.data))
    read_data(task)
    return len(task.splits.train)


def _finish(document: Document, folder: Path) -> None:
    try:
        page, *_ = write_document(folder, document, "comparison")
    except OSError as error:
        raise unwritable(folder, error) from error
    show_document(document)
    print(f"written to {page}, with .md, .json, .csv and the pictures beside it")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run, <task>/<row>/seed-<n>, or its name, <task>/<row>, beneath --out")
    add("--solvers", default=",".join(DEFAULT), metavar="NAME,NAME", help="or all (default: some of each family)")
    shown = ",".join(map(str, SUBSTEPS))
    add("--substeps", type=counts, default=list(SUBSTEPS), metavar="N,N", help=f"of each solver (default {shown})")
    add("--part", choices=get_args(Part), default="val", help="of the data that is scored (default val)")
    add("--samples", type=count, default=1000, metavar="N", help="that are scored, the first ones (default 1000)")
    add("--sequences", type=count, default=16, metavar="N", help="that are looked at closely and timed (default 16)")
    add("--length", type=count, metavar="N", help="samples of these to look at (default: all)")
    add("--repeats", type=count, default=5, metavar="N", help="of the timing (default 5)")
    add("--data", type=Path, metavar="DIR", help="folder with the data files of the run's task")
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder above the run folders (default runs)")
    add("--seed", type=int, default=0, metavar="N", help="of the run, where it is named (default 0)")
    add("--train", choices=MODES, help="train the run RUN by every scheme, at the cost of its own")
    add("--epochs", type=count, metavar="N", help="with --train: by the run's own scheme, which is the budget")
    add("--budget", choices=BUDGETS, help="with --train: the same in words; see `reproduce`")
    add("--jobs", type=count, default=1, metavar="N", help="with --train: runs at once (default 1, or times mislead)")
    add(
        "--write",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: in that of the run)",
    )
    return parser
