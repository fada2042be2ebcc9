"""The commands of `python -m benchmarks`. A new one is a module in `commands/` and one line here."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from benchmarks.commands import (
    budgets,
    compare,
    export,
    figures,
    leaderboard,
    memory,
    report,
    reproduce,
    robustness,
    search,
    show,
    speed,
    train,
    twins,
)
from benchmarks.commands.command import Command
from benchmarks.support.errors import INTERRUPTED, MISUSED, UserError
from benchmarks.support.terminal import abandon_stdout

COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "train": Command(train.SUMMARY, train.main),
        "reproduce": Command(reproduce.SUMMARY, reproduce.main),
        "search": Command(search.SUMMARY, search.main),
        "report": Command(report.SUMMARY, report.main),
        "show": Command(show.SUMMARY, show.main),
        "figures": Command(figures.SUMMARY, figures.main),
        "compare": Command(compare.SUMMARY, compare.main),
        "robustness": Command(robustness.SUMMARY, robustness.main),
        "leaderboard": Command(leaderboard.SUMMARY, leaderboard.main),
        "export": Command(export.SUMMARY, export.main),
        "twins": Command(twins.SUMMARY, twins.main),
        "memory": Command(memory.SUMMARY, memory.main),
        "speed": Command(speed.SUMMARY, speed.main),
        "budgets": Command(budgets.SUMMARY, budgets.main),
    }
)

_PARSERS_KEY = re.compile(r'Parser key "([\w.]+)":\s+')
"""What jsonargparse writes before what is wrong with an option."""


def main(argv: Sequence[str]) -> int:
    """Runs a command; its exit code is 0, 1 where a run diverged, 2 for what cannot be done, 130 after Ctrl-C."""
    args = _parser().parse_args(argv[:1])
    try:
        return COMMANDS[args.command].main(argv[1:])
    except (UserError, argparse.ArgumentError) as error:
        print("error: " + _PARSERS_KEY.sub(r"`--\1`: ", str(error)), file=sys.stderr)
        return MISUSED
    except BrokenPipeError:
        abandon_stdout()
        print("error: what this command writes to was closed, so it ended", file=sys.stderr)
        return MISUSED
    except KeyboardInterrupt:
        again = " ".join(["python -m benchmarks", *argv])
        print(f"\ninterrupted; the same command continues from the last finished epoch:\n  {again}", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    lines = [f"  {name:<11} {command.summary}" for name, command in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Train recurrent networks that are ODE solvers, beside torch's own, on real data.",
        epilog="\n".join(["commands:", *lines, "", "python -m benchmarks COMMAND --help says more."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=tuple(COMMANDS), metavar="COMMAND", help="one of those below")
    return parser
