"""`python -m benchmarks speed`: our engines beside their peers, and beside what the arithmetic allows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.commands.arguments import chosen, count, counts, device_named, make_folder, names, unwritable
from benchmarks.speed.case import Shape
from benchmarks.speed.contender import Contender
from benchmarks.speed.contenders import LONGEST_WHOLE, all_contenders
from benchmarks.speed.jax_environment import cache_folder, jax_python
from benchmarks.speed.jax_peers import WORKER, JaxWorker, jax_contenders
from benchmarks.speed.measure import measure_group
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.peak_rss import measure_resident
from benchmarks.speed.report import NAME, Report
from benchmarks.speed.roofline import PEAK_SIZE, measure_peak
from benchmarks.speed.suites import FULL, QUICK, SUITES, Entry, Group, Sizes
from benchmarks.speed.table import describe, targets_table
from benchmarks.support.clock import clock_of
from benchmarks.support.errors import INTERRUPTED, OK
from benchmarks.support.provenance import UNKNOWN, find_commit, find_machine, find_version, find_versions
from benchmarks.support.threads import threads

SUMMARY = "measure how fast the engines are, beside their peers"
DESCRIPTION = """
Time forward and backward of our engines beside torch's layers, a loop by hand, torchdiffeq, torchrecurrent, and, from
an environment that the command makes, JAX and diffrax. Outputs and gradients of all peers are compared first: one that
computes another function is reported, and not timed. Writes speed.json after each group, so that little is lost, and
at the end, or at Ctrl-C, speed.md and speed-*.png too.
"""

PEERS = ("jax",)
WHOLE_HELP = f"most samples for one odeint of the whole sequence, which is quadratic in them (default {LONGEST_WHOLE})"
SECONDS = 1.0
QUICK_SECONDS = 0.01
QUICK_PEAK_SIZE = 128


@dataclass(frozen=True)
class Plan:
    """What the arguments ask for."""

    suites: Sequence[str]
    contenders: Collection[str]
    sizes: Sizes
    device: torch.device
    seconds: float
    peak_size: int


def main(argv: Sequence[str]) -> int:
    """Measures, shows and writes."""
    args = _parser().parse_args(argv)
    plan = _plan(args)
    jax = "jax" in chosen("--peers", args.peers, PEERS)
    make_folder(args.out)
    with threads(args.threads), _jax_worker() if jax else nullcontext() as worker:
        contenders = all_contenders(args.longest_whole, None if worker is None else jax_contenders(worker))
        versions = _versions() | ({} if worker is None else worker.versions())
        report = Report(args.out, find_commit(), find_machine(plan.device), versions)
        try:
            _measure(plan, contenders, report)
        except KeyboardInterrupt:
            _write(report)
            print("interrupted; the groups that were finished are written", file=sys.stderr)
            return INTERRUPTED
    _write(report)
    print(targets_table(report.measurements), f"written to {args.out / NAME}.md", sep="\n\n")
    return OK


def _measure(plan: Plan, contenders: Mapping[str, Contender], report: Report) -> None:
    """Adds the outcomes of all suites to the report, group by group."""
    for suite in plan.suites:
        report.peak = max(report.peak, measure_peak(plan.device, plan.peak_size))
        for group in SUITES[suite].groups(plan.sizes):
            entries = [entry for entry in group if _is_asked_for(entry, contenders, plan)]
            measurements = _measure_one(suite, entries, contenders, plan)
            report.measurements += measurements
            report.clocks += [clock for clock in (clock_of(plan.device),) if clock is not None]
            _write_numbers(report)
            print(*map(describe, measurements), sep="\n", flush=True)


def _is_asked_for(entry: Entry, contenders: Mapping[str, Contender], plan: Plan) -> bool:
    """Whether a contender was named, and runs on the device at all."""
    return entry.contender in plan.contenders and plan.device.type in contenders[entry.contender].devices


def _measure_one(suite: str, group: Group, contenders: Mapping[str, Contender], plan: Plan) -> list[Measurement]:
    if suite != "memory":
        return measure_group(suite, group, contenders, plan.device, plan.seconds)
    if plan.device.type == "cuda":
        return []  # the resident memory of the process is not that of the device
    return measure_resident(suite, group, contenders, torch.get_num_threads())


def _plan(args: argparse.Namespace) -> Plan:
    sizes = QUICK if args.quick else FULL
    return Plan(
        suites=chosen("--suite", args.suite, SUITES) or list(SUITES),
        contenders=chosen("--contenders", args.contenders, all_contenders()) or list(all_contenders()),
        sizes=sizes if args.shape is None else replace(sizes, reference=(args.shape,)),
        device=device_named(args.device),
        seconds=QUICK_SECONDS if args.quick else args.seconds,
        peak_size=QUICK_PEAK_SIZE if args.quick else PEAK_SIZE,
    )


def _jax_worker() -> JaxWorker:
    return JaxWorker([str(jax_python(cache_folder())), str(WORKER)], torch.get_num_threads())


def _versions() -> dict[str, str]:
    peers = {name: find_version(name) for name in ("torchdiffeq", "torchrecurrent")}
    return find_versions() | {name: version for name, version in peers.items() if version != UNKNOWN}


def _write_numbers(report: Report) -> None:
    try:
        report.write_numbers()
    except OSError as error:
        raise unwritable(report.folder, error) from error


def _write(report: Report) -> None:
    try:
        report.write()
    except OSError as error:
        raise unwritable(report.folder, error) from error


def _parser() -> argparse.ArgumentParser:
    suites = "\n".join(f"  {name:<10} {suite.summary}" for name, suite in SUITES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks speed",
        description=DESCRIPTION,
        epilog=f"suites:\n{suites}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--suite", type=names, default=[], metavar="NAME,NAME", help="what to measure (default: all that stand below)")
    add(
        "--contenders",
        type=names,
        default=[],
        metavar="NAME,NAME",
        help=f"of {', '.join(all_contenders())} (default: all)",
    )
    add(
        "--peers", type=names, default=[], metavar="jax", help="jax: JAX and diffrax too, from an environment of theirs"
    )
    add(
        "--shape",
        type=_shape,
        metavar="T,B,N,M",
        help="samples, batch, units and inputs in place of the reference shapes",
    )
    add(
        "--seconds",
        type=_seconds,
        default=SECONDS,
        metavar="S",
        help=f"for each contender's repetitions (default {SECONDS:g})",
    )
    add("--longest-whole", type=int, default=LONGEST_WHOLE, metavar="T", help=WHOLE_HELP)
    add("--threads", type=count, metavar="N", help="of torch and of JAX (default: torch's own number)")
    add("--quick", action="store_true", help="tiny sizes and few repetitions: to see that it works")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where (default cpu)")
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder for the files (default runs)")
    return parser


def _shape(text: str) -> Shape:
    sizes = counts(text)
    if len(sizes) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} is no T,B,N,M: samples, batch, units, inputs")
    return Shape(*sizes)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return value
