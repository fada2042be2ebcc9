"""`python -m benchmarks search`: choose settings of a run on validation data."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import optuna

from benchmarks.commands.arguments import count, positive
from benchmarks.commands.train import TAKEOVER_HELP
from benchmarks.run.lease import TAKEOVER
from benchmarks.search.search import Search, SearchSpec
from benchmarks.search.space import spaces
from benchmarks.search.study import PRUNERS
from benchmarks.settings.names import find_run
from benchmarks.support.errors import OK

SUMMARY = "choose settings of a run on validation data, by several processes if you like"
DESCRIPTION = """
Try settings of a run from a space of them, and keep those that are best on validation data; test data are never
touched. Given twice or more, on one machine or on several that see the same folder, the commands share one study. A
trial whose process was killed continues from its last finished epoch, by whoever finds it first.
Options of `train RUN` that are not listed here are the same for all trials: --model.hidden_size 64.
"""


def main(argv: Sequence[str]) -> int:
    """Tries settings until there are as many trials as are asked for, or the time is up."""
    args, fixed = _parser().parse_known_args(argv)
    name = find_run(args.run)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = SearchSpec(
        name=name,
        fixed=[*fixed, *(["--epochs", str(args.epochs)] if args.epochs else [])],
        space=args.space,
        folder=args.out / name.task / name.row / args.study,
        trials=args.trials,
        seconds=args.time,
        pruner=args.pruner,
        seed=args.sampler_seed,
        data_dir=args.data,
        takeover=args.takeover,
    )
    print(Search(spec).go_on())
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks search",
        description=DESCRIPTION,
        epilog=_describe_spaces(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="such as pmnist/antisymmetric")
    add("--space", metavar="SPACE", help="one of those below, or a file (default: wide, for torch's networks baseline)")
    add("--trials", type=count, default=50, metavar="N", help="of the whole study, by all processes (default 50)")
    add("--epochs", type=count, metavar="N", help="of a trial, instead of the run's number")
    add("--time", type=positive, default=math.inf, metavar="S", help="seconds after which this process ends")
    add("--pruner", choices=PRUNERS, default="median", help="ends trials that are behind (default median)")
    add("--study", default="study", metavar="NAME", help="a study of its own beside others (default study)")
    add("--sampler-seed", type=int, metavar="N", help="of what is tried; leave it out for several processes")
    add("--data", type=Path, metavar="DIR", help="folder with the task's data files")
    add("--out", type=Path, default=Path("searches"), metavar="DIR", help="folder above the studies (default searches)")
    add("--takeover", type=positive, default=TAKEOVER, metavar="S", help=f"{TAKEOVER_HELP} (default {TAKEOVER:g})")
    return parser


def _describe_spaces() -> str:
    lines = ["spaces, in benchmarks/spaces/:"]
    for name, path in spaces().items():
        lines += ["", f"{name}:", *(f"  {line}" for line in path.read_text(encoding="utf-8").splitlines())]
    return "\n".join(lines)
