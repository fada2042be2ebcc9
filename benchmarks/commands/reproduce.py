"""`python -m benchmarks reproduce`: the rows of the paper's table, trained, beside what the paper says."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.commands.arguments import positive
from benchmarks.commands.report import write_report
from benchmarks.commands.train import DEVICES_HELP, LOGGERS_HELP, TAKEOVER_HELP
from benchmarks.run.budget import BUDGETS, budget_options
from benchmarks.run.lease import TAKEOVER
from benchmarks.run.loggers import logger_names
from benchmarks.run.pool import run_all
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.groups import GROUPS, rows_of, tasks_of
from benchmarks.settings.names import RunName, runs_of
from benchmarks.settings.parser import read_settings
from benchmarks.support.errors import FAILED, OK
from benchmarks.tasks import TASKS

SUMMARY = "train the rows of the paper's table for some tasks, and show them beside the paper's numbers"
DESCRIPTION = """
Train every network of a task, each from several seeds, or take what is already in the run folders; then show the
table paper | ours | parameters | time, and write it as Markdown with the learning curves as PNG. What is stopped goes
on where it was when the same command is given again. Given twice or more, on one machine or on several that see the
same folder, the commands share the runs among them. `table1` and `table2`
are the tables of the paper.
"""
TOGETHER_HELP = """
seeds of a row that are trained at once, as an ensemble, where that comes to the same (default: all with an accelerator,
else 1)
"""


def main(argv: Sequence[str]) -> int:
    """Trains what is missing, then reports on it."""
    parser = _parser()
    args = parser.parse_args(argv)
    requests = plan(args)
    for spec in requests:
        spec.folder.check(spec.settings)
    _prepare(requests)
    jobs = args.jobs or default_jobs(len(requests), args.devices)
    results = run_all(requests, jobs, args.together or default_together())
    write_report(results, tasks_of(args.tasks), out_of(args))
    return OK if all(result.status == "finished" for result in results) else FAILED


def plan(args: argparse.Namespace) -> list[RunSpec]:
    """The runs that the arguments ask for, seed by seed, so that a first row of each comes early."""
    names = rows_of(tasks_of(args.tasks), args.rows)
    seeds = args.seeds or (1 if args.budget == "smoke" else 3)
    count = functools.cache(functools.partial(_count_samples, args.data))
    return [_request(name, args.first_seed + index, args, count) for index in range(seeds) for name in names]


def out_of(args: argparse.Namespace) -> Path:
    """The folder above the run folders: one for each budget, so that a glance is in nobody's way."""
    return args.out or (Path("runs") / args.budget if args.budget else Path("runs"))


def default_jobs(runs: int, devices: int) -> int:
    """How many runs of so many devices at once: one with an accelerator, else as many as there are cores for.

    Networks of this size keep one core busy and gain little from a second.
    """
    return 1 if torch.accelerator.is_available() else max(1, min((os.cpu_count() or 1) // devices, runs))


def default_together() -> int:
    """How many seeds of a row are trained at once: as many as there are with an accelerator."""
    return sys.maxsize if torch.accelerator.is_available() else 1


def _request(name: RunName, seed: int, args: argparse.Namespace, count: Callable[[str], int]) -> RunSpec:
    options = ["--seed", str(seed)]
    if args.budget is not None:
        options += budget_options(args.budget, name.task, read_settings(name), lambda: count(name.task))
    if args.epochs is not None:
        options += ["--epochs", str(args.epochs)]
    settings = read_settings(name, options)
    return RunSpec(
        name,
        settings,
        out_of(args),
        args.data,
        devices=args.devices,
        takeover=args.takeover,
        loggers=logger_names(args.loggers),
        progress=args.progress,
    )


def _count_samples(data_dir: Path | None, task: str) -> int:
    name = runs_of(task)[0]
    made = make_task(RunSpec(name, read_settings(name), Path(), data_dir))
    read_data(made)
    return len(made.splits.train)


def _prepare(requests: Sequence[RunSpec]) -> None:
    # Once a task and before any run: several processes must not download the same file, and what is missing should
    # be known at once.
    first = {spec.name.task: spec for spec in reversed(requests)}
    for spec in first.values():
        if not spec.folder.result.exists():
            read_data(make_task(spec))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks reproduce", description=DESCRIPTION)
    add = parser.add_argument
    groups = "; ".join(f"{name} is {' and '.join(tasks)}" for name, tasks in GROUPS.items())
    add("tasks", nargs="+", metavar="TASK", help=f"{', '.join(TASKS)}; {groups}")
    budget = "smoke: a glance, minutes; short: about an hour a run on two cores; paper: the paper's iterations"
    add("--budget", choices=BUDGETS, help=f"{budget} (default: each file's epochs)")
    add("--rows", type=_names, metavar="ROW,ROW", help="only these rows, as their files in configs/ are called")
    add("--seeds", type=_count, metavar="N", help="runs a row (default 3, with --budget smoke 1)")
    add("--first-seed", type=int, default=0, metavar="N", help="the first of the seeds (default 0)")
    add("--epochs", type=_count, metavar="N", help="instead of each file's number, or of the budget's")
    add("--data", type=Path, metavar="DIR", help="folder with the data files of the tasks")
    add("--out", type=Path, metavar="DIR", help="folder above the run folders (default runs, or runs/BUDGET)")
    add("--jobs", type=_count, metavar="N", help="runs at once (default: one with an accelerator, else one a core)")
    add("--together", type=_count, metavar="N", help=TOGETHER_HELP)
    add("--devices", type=_count, default=1, metavar="N", help=f"{DEVICES_HELP} (default 1)")
    add("--takeover", type=positive, default=TAKEOVER, metavar="S", help=f"{TAKEOVER_HELP} (default {TAKEOVER:g})")
    add("--loggers", default="", metavar="NAMES", help=LOGGERS_HELP)
    add("--progress", choices=("lines", "none"), default="lines", help="what each run shows (default lines)")
    return parser


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a whole number from 1")
    return value
