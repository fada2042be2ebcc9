"""`python -m benchmarks memory`: the peak memory of each adjoint against the length of the sequence."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import rich.box
import rich.table
import torch
from rich.console import Console

from benchmarks.commands.arguments import chosen, count, counts, device_named, make_folder, names, unwritable
from benchmarks.memory.growth import Growth, draw_growth, notes, to_markdown, to_rows
from benchmarks.memory.peak import peak_bytes
from benchmarks.support.atomic import write_atomically, write_text
from benchmarks.support.errors import OK, UserError
from benchmarks.support.provenance import find_commit, find_machine, find_versions
from odernn import ADJOINTS, ODERNN, Auto, DiscreteAdjoint, HamiltonianField
from solvers import Adjoint, Checkpointed, Continuous, Leapfrog, ReconstructionError, TorchdiffeqSolver
from solvers.extend import Save

SUMMARY = "measure the peak memory of each adjoint against the length of the sequence"
DESCRIPTION = """
Measure how many bytes forward and backward of one call add to what was there before, for each adjoint and length, on a
Hamiltonian network stepped by leapfrog, with a loss on its last state. Shows the table, and writes memory.json,
memory.md and memory.png.
"""

LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384)
LONGEST = {"continuous": 2048}
"""Where an adjoint is too slow for all of LENGTHS. Lengths that are asked for are all measured."""

DT = 0.001  # so short that leapfrog can undo all of LENGTHS in float32; it does not change what is held


@dataclass(frozen=True)
class Setup:
    """What is measured, besides adjoint and length."""

    batch: int
    units: int
    save: Save
    device: torch.device

    @property
    def title(self) -> str:
        """The setup in a line."""
        return f"peak memory in MB against T: {self.units} units, batch {self.batch}, float32, save={self.save!r}"


def main(argv: Sequence[str]) -> int:
    """Measures, shows and writes."""
    args = _parser().parse_args(argv)
    setup = Setup(args.batch, args.units, args.save, device_named(args.device))
    if args.units % 2:
        raise UserError(f"`--units` is {args.units}; the state is two equal halves: give an even number")
    adjoints = _choose(args.adjoints)
    make_folder(args.out)
    growths = [measure(name, adjoint, _lengths(name, args.lengths), setup) for name, adjoint in adjoints.items()]
    _show(setup.title, growths)
    _write(setup, growths, args.out)
    return OK


def measured() -> dict[str, Adjoint]:
    """The adjoints of the registry, but for the one that picks among them, and checkpoints around the discrete one.

    The continuous one goes backward by the midpoint rule, as torchdiffeq has no leapfrog: one step an interval.
    """
    adjoints = {name: kind() for name, kind in ADJOINTS.items() if kind is not Auto}
    of_leapfrog = Continuous(TorchdiffeqSolver("midpoint", steps=1))
    return adjoints | {"continuous": of_leapfrog, "checkpointed-discrete": Checkpointed(within=DiscreteAdjoint())}


def measure(name: str, adjoint: Adjoint, lengths: Sequence[int], setup: Setup) -> Growth:
    """The peaks of one adjoint, after a call that is not counted: what is made once, at a first call, is not growth."""
    measure_one(adjoint, min(lengths), setup)
    peaks = {length: measure_one(adjoint, length, setup) for length in lengths}
    state_bytes = setup.batch * setup.units * torch.get_default_dtype().itemsize
    left_out = max(lengths) == LONGEST.get(name)
    return Growth(name, peaks, state_bytes, f"measured up to T = {max(lengths):,} only, being slow" if left_out else "")


def measure_one(adjoint: Adjoint, length: int, setup: Setup) -> int:
    """The peak bytes of forward and backward of one call, on top of the parameters and the input."""
    torch.manual_seed(0)
    field = HamiltonianField(1, setup.units, device=setup.device)
    rnn = ODERNN(field, Leapfrog(), dt=DT, adjoint=adjoint, engine="torch")  # whose memory is all torch's own
    x = torch.randn(length, setup.batch, 1, device=setup.device)
    y0 = torch.randn(1, setup.batch, setup.units, device=setup.device)

    def call() -> None:
        _, y = rnn(x, y0, save=setup.save)
        y.square().mean().backward()

    try:
        return peak_bytes(call, setup.device)
    except ReconstructionError as error:
        mend = "ask for shorter `--lengths`, or leave reversible out of `--adjoints`"
        raise UserError(f"at T = {length:,} the reversible adjoint gives no gradient ({error}): {mend}") from error


def _choose(names: Sequence[str] | None) -> dict[str, Adjoint]:
    there = measured()
    return {name: there[name] for name in chosen("--adjoints", names or (), there) or there}


def _lengths(name: str, asked: Sequence[int] | None) -> list[int]:
    if asked is not None:
        return sorted(set(asked))
    return [length for length in LENGTHS if length <= LONGEST.get(name, max(LENGTHS))]


def _show(title: str, growths: Sequence[Growth]) -> None:
    head, *rows = to_rows(growths)
    table = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE, collapse_padding=True)
    table.add_column(head[0], overflow="fold")
    for name in head[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table, *notes(growths), sep="\n")


def _write(setup: Setup, growths: Sequence[Growth], folder: Path) -> None:
    png = draw_growth(setup.title, growths)
    text = "\n\n".join([setup.title, to_markdown(growths), "![peak memory against length](memory.png)"])
    try:
        write_text(folder / "memory.json", json.dumps(_record(setup, growths), indent=2, allow_nan=False) + "\n")
        write_text(folder / "memory.md", text + "\n")
        write_atomically(folder / "memory.png", lambda stream: [stream.write(png)].clear())
    except OSError as error:
        raise unwritable(folder, error) from error
    print(f"written to {folder / 'memory.md'}")


def _record(setup: Setup, growths: Sequence[Growth]) -> dict[str, object]:
    fits = [{"exponent": growth.exponent, "states_an_interval": growth.states_an_interval} for growth in growths]
    return {
        "setup": asdict(setup) | {"device": setup.device.type, "dt": DT},
        "commit": asdict(find_commit()),
        "versions": find_versions(),
        "machine": asdict(find_machine(setup.device)),
        "adjoints": [asdict(growth) | fit for growth, fit in zip(growths, fits, strict=True)],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=DESCRIPTION)
    add = parser.add_argument
    lengths = ",".join(map(str, LENGTHS))
    add("--lengths", type=counts, metavar="T,T", help=f"samples in a sequence (default {lengths}, fewer where slow)")
    add("--adjoints", type=names, metavar="NAME,NAME", help=f"of {', '.join(measured())} (default: all)")
    add("--batch", type=count, default=64, metavar="N", help="sequences in a batch (default 64)")
    add("--units", type=count, default=64, metavar="N", help="units of the state, an even number (default 64)")
    add("--save", choices=get_args(Save), default="end", help="what the layer gives out (default end)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where (default cpu)")
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder for the three files (default runs)")
    return parser
