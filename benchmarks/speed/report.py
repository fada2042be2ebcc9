"""The files of a run: numbers, tables and pictures, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

from benchmarks.speed.measurement import Measurement
from benchmarks.speed.pictures import draw_pictures
from benchmarks.speed.table import limit, suite_tables, targets_table
from benchmarks.speed.targets import TARGETS, values_of
from benchmarks.support.atomic import write_atomically, write_text
from benchmarks.support.provenance import Commit, Machine

NAME = "speed"
READING = """
Medians of interleaved repetitions in float32; lowest and highest beside them, n how many. *µs a step*: the median over
T. */ nn.RNN*, */ best peer*: ratios in this run. Peers compute the same function, which is checked before they are
timed; nn.RNN, nn.GRU and nn.LSTM compute another one of the same size. *of the limit*: the part of the median that the
case's matrix products would take at the peak below. Shapes are (T, batch, units, inputs).
""".strip()


@dataclass
class Report:
    """What was measured so far.

    Attributes:
        folder: where the files go.
        commit: of the code.
        machine: where it ran, and on how many threads.
        versions: of everything that decides on times.
        peak: the most operations a second seen so far.
        measurements: in the order of their measuring.
        clocks: of the device's multiprocessors after each group, in MHz, where it says so.
    """

    folder: Path
    commit: Commit
    machine: Machine
    versions: Mapping[str, str]
    peak: float = 0.0
    measurements: list[Measurement] = field(default_factory=list)
    clocks: list[int] = field(default_factory=list)

    def write(self) -> None:
        """Writes the numbers, the tables and the pictures, each whole or not at all.

        Raises:
            OSError: the folder cannot be written to.
        """
        pictures = draw_pictures(self.measurements, self.peak)
        self.write_numbers()
        for name, png in pictures.items():
            write_atomically(self.folder / f"{NAME}-{name}.png", lambda stream, png=png: [stream.write(png)].clear())
        write_text(self.folder / f"{NAME}.md", self._markdown(list(pictures)) + "\n")

    def write_numbers(self) -> None:
        """Write only the numbers.

        Raises:
            OSError: the folder cannot be written to.
        """
        text = json.dumps(self._record(), indent=1, allow_nan=False)
        write_text(self.folder / f"{NAME}.json", text + "\n")

    def _record(self) -> dict[str, object]:
        values = values_of(self.measurements)
        targets = [
            {"claim": b.claim, "measured": b.measured(values), "at_most": b.at_most, "verdict": b.verdict(values)}
            for b in TARGETS
        ]
        return {
            "commit": asdict(self.commit),
            "machine": asdict(self.machine),
            "versions": dict(self.versions),
            "peak_flops": self.peak,
            "clocks": self.clocks,
            "outcomes": [_plain(measurement, self.peak) for measurement in self.measurements],
            "bars": targets,
        }

    def _markdown(self, pictures: Sequence[str]) -> str:
        suites = [(suite, list(group)) for suite, group in groupby(self.measurements, key=lambda one: one.suite)]
        parts = [f"## {suite}\n\n{suite_tables(group, self.peak)}" for suite, group in suites]
        shown = [f"![{name}]({NAME}-{name}.png)" for name in pictures]
        return "\n\n".join(
            ["# Speed", self._origin(), READING, *parts, f"## Bars\n\n{targets_table(self.measurements)}", *shown]
        )

    def _origin(self) -> str:
        machine, commit = self.machine, self.commit
        where = f"{machine.cpu}, {machine.cores} cores, {machine.threads} threads, {machine.platform}, {machine.device}"
        changed = " with files changed" if commit.dirty else ""
        lines = [
            where,
            f"commit {commit.id or 'unknown'}{changed}",
            ", ".join(f"{name} {version}" for name, version in self.versions.items()),
            f"peak of one large product: {self.peak / 1e9:.1f} GFLOP/s in float32",
        ]
        if self.clocks:
            lines.append(f"clock of the device after a group: {min(self.clocks):,} to {max(self.clocks):,} MHz")
        return "\n".join(f"- {line}" for line in lines)


def _plain(measurement: Measurement, peak: float) -> dict[str, object]:
    """A value that JSON takes: an infinite error, of shapes that differ, becomes a word."""
    error = measurement.error if measurement.error is None or measurement.error < float("inf") else "infinite"
    return asdict(measurement) | {
        "error": error,
        "median": measurement.median,
        "limit_seconds": limit(measurement, peak),
    }
