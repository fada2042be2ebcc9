"""`python -m benchmarks show`: a batch of a task as a picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks.commands.arguments import count, make_folder, unwritable
from benchmarks.figures.batch import draw_batch
from benchmarks.run.spec import RunSpec, make_task, read_data
from benchmarks.settings.names import runs_of
from benchmarks.settings.parser import read_settings
from benchmarks.support.atomic import write_atomically
from benchmarks.support.errors import OK
from benchmarks.tasks import TASKS, Task
from benchmarks.tasks.samples import Draw, Part

SUMMARY = "draw some samples of a task as a person would look at them"
DESCRIPTION = """
Draw the first samples of a task as they go into a network, each as its sequence with the image that it was made of, if
any, rebuilt from the sequence. The task's settings are those of its runs.
"""


def main(argv: Sequence[str]) -> int:
    """Draws a batch into a file."""
    args = _parser().parse_args(argv)
    name = runs_of(args.task)[0]
    task = make_task(RunSpec(name, read_settings(name), out=Path(), data_dir=args.data))
    read_data(task)
    _write(args.out or Path("runs") / f"{args.task}.png", draw(task, args.part, args.samples, args.epoch))
    return OK


def draw(task: Task, part: Part, samples: int, epoch: int) -> bytes:
    """A PNG of the first samples of a part, as they are in an epoch."""
    available = getattr(task.splits, part)
    batch = available.__getitems__([Draw(row, epoch) for row in range(min(samples, len(available)))])
    variants = "".join(f" ({variant})" for variant in task.variants)
    shape = f"{len(available):,} sequences of {task.length:,} steps of {task.input_size}"
    return draw_batch(f"{task.name}{variants}, {part}: {shape}", task, batch)


def _write(path: Path, png: bytes) -> None:
    make_folder(path.parent)
    try:
        write_atomically(path, lambda stream: [stream.write(png)].clear())
    except OSError as error:
        raise unwritable(path.parent, error) from error
    print(f"written to {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks show", description=DESCRIPTION)
    add = parser.add_argument
    add("task", metavar="TASK", help=f"one of {', '.join(TASKS)}")
    add("--out", type=Path, metavar="FILE", help="the picture, a PNG (default runs/TASK.png)")
    add("--data", type=Path, metavar="DIR", help="folder with the task's data files")
    add("--part", choices=get_args(Part), default="train", help="of the data (default train)")
    add("--samples", type=count, default=6, metavar="N", help="how many (default 6)")
    add("--epoch", type=int, default=0, metavar="N", help="for what is drawn afresh each epoch (default 0)")
    return parser
