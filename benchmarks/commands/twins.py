"""`python -m benchmarks twins`: is the training of a run chaotic?"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands.arguments import count, positive
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.run.twins import Training, distances, exponent, train_twin
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.support.errors import OK
from benchmarks.support.markdown import markdown_table
from benchmarks.support.threads import threads

SUMMARY = "train a run beside itself, a rounding apart, and see how fast the two part"
DESCRIPTION = """
Train a run for some steps, and again from weights that differ by about a rounding; show after how many steps they are
how far apart, the exponent of that growth, and the scores of all of them on validation data. docs/training-noise.md
says what to make of it. Options of `train RUN` may follow: --model.dt 0.1. Nothing is written.
"""


def main(argv: Sequence[str]) -> int:
    """Trains the twins and shows them."""
    args, options = _parser().parse_known_args(argv)
    name = find_run(args.run)
    settings = read_settings(name, options)
    task = make_task(RunSpec(name, settings, Path(), args.data))
    read_data(task)
    with threads(settings.trainer.threads or 1):
        trainings = [train_twin(settings, task, args.steps, args.perturbation, twin) for twin in range(args.twins + 1)]
    metric = task.objective.selector()
    print(f"{name}: {metric.label} on validation data, {args.steps} steps, weights {args.perturbation:g} apart\n")
    print(_table(trainings, [metric.cell(training.score) for training in trainings]))
    return OK


def _table(trainings: Sequence[Training], scores: Sequence[str]) -> str:
    first = trainings[0]
    steps = len(first.norms)
    marks = sorted({mark for mark in (1, 50, 100, 200, 400, 800) if mark < steps} | {steps})
    head = ["twin", "gradient", *(f"step {mark}" for mark in marks), "exponent", "score"]
    rows = []
    for twin, (training, score) in enumerate(zip(trainings, scores, strict=True)):
        path = distances(first, training)
        apart = [f"{path[mark - 1]:.1e}" for mark in marks] if twin else ["–"] * len(marks)
        growth = f"{exponent(path):.3f}" if twin else "–"
        rows.append([str(twin), f"{statistics.median(training.norms):.2g}", *apart, growth, score])
    return markdown_table(head, rows, set())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks twins", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add("run", metavar="RUN", help="such as smnist/antisymmetric")
    add("--steps", type=count, default=200, metavar="N", help="of the optimizer; the schedule spans them (default 200)")
    add("--twins", type=count, default=1, metavar="N", help="beside the run itself (default 1)")
    add("--perturbation", type=positive, default=1e-7, metavar="X", help="of every weight, relative (default 1e-7)")
    add("--data", type=Path, metavar="DIR", help="folder with the task's data files")
    return parser
