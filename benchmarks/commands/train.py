"""`python -m benchmarks train`: one run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from jsonargparse.typing import PositiveFloat, PositiveInt

from benchmarks.run.lease import TAKEOVER
from benchmarks.run.loggers import LOGGERS, logger_names
from benchmarks.run.progress import Progress
from benchmarks.run.spec import RunSpec
from benchmarks.run.train import train
from benchmarks.settings.names import find_run, list_runs
from benchmarks.settings.parser import make_parser, to_settings
from benchmarks.support.errors import FAILED, MISUSED, OK, UserError

LOGGERS_HELP = f"Where metrics go too: {', '.join(LOGGERS)}, or several with commas between them."
DEVICES_HELP = "Processes that train a run together, each on a device of its own and with its share of each batch."
TAKEOVER_HELP = "Seconds without a sign of life after which another process may take the run over from this one."
SUMMARY = "train one network on one task, or continue with it where it stopped"
USAGE = """usage: python -m benchmarks train RUN [options]

Train one network on one task. A run that was stopped, by whatever, continues from its last finished epoch when the same
command is given again; a run that has ended is not trained again, its result is shown.

  python -m benchmarks train digits/antisymmetric
  python -m benchmarks train smnist/antisymmetric --data DIR --epochs 1
  python -m benchmarks train digits/gated --model.dt 0.05 --model.solver rk4 --optimizer.lr 0.001 --out runs/rk4

`python -m benchmarks train RUN --help` shows every option of a run with its value. RUN is one of:
"""


def main(argv: Sequence[str]) -> int:
    """Trains the run that is named first, with the options after it."""
    if not argv:
        print(USAGE + list_runs(), file=sys.stderr)
        return MISUSED
    if argv[0] in ("-h", "--help"):
        print(USAGE + list_runs())
        return OK
    if argv[0].startswith("-"):
        raise UserError(f"the run comes first, before {argv[0]}; choose one of\n{list_runs()}")
    spec = parse(argv)
    result = train(spec)
    print(result.summary)
    print(f"in {spec.folder.path}")
    return OK if result.status == "finished" else FAILED


def parse(argv: Sequence[str]) -> RunSpec:
    """The run that the arguments ask for.

    Raises:
        UserError, argparse.ArgumentError: they ask for none.
    """
    name = find_run(argv[0])
    parser = make_parser(name)
    _add_places(parser)
    parsed = parser.parse_args(argv[1:])
    return RunSpec(
        name,
        to_settings(parser, name, parsed),
        out=parsed.out,
        data_dir=parsed.data,
        overwrite=parsed.overwrite,
        devices=parsed.devices,
        takeover=parsed.takeover,
        loggers=logger_names(parsed.loggers),
        progress=parsed.progress or default_progress(),
    )


def default_progress() -> Progress:
    """A bar where somebody can see it move."""
    return "bar" if sys.stderr.isatty() else "lines"


def _add_places(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("where and how")
    group.add_argument("--data", type=Path | None, metavar="DIR", help="Folder with the task's data files.")
    group.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="Folder above the run folders.")
    group.add_argument("--overwrite", action="store_true", help="Start again, whatever the run's folder holds.")
    group.add_argument("--devices", type=PositiveInt, default=1, metavar="N", help=DEVICES_HELP)
    group.add_argument("--takeover", type=PositiveFloat, default=TAKEOVER, metavar="S", help=TAKEOVER_HELP)
    group.add_argument("--loggers", type=str, default="", metavar="NAMES", help=LOGGERS_HELP)
    group.add_argument("--progress", type=Progress | None, help="What to show; without it a bar in a terminal.")
