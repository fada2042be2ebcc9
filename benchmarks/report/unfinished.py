"""Runs that have not ended: how far they are."""

from __future__ import annotations

import csv
from pathlib import Path

from benchmarks.report.result import FILE


def unfinished(folder: Path) -> list[str]:
    """A line for each run folder beneath `folder` that has a log and no result."""
    logs = [path for path in sorted(folder.rglob("metrics.csv")) if not (path.parent / FILE).exists()]
    return [f"not finished: {log.parent.relative_to(folder)}: {_state(log)}" for log in logs]


def _state(log: Path) -> str:
    with log.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return "no epoch yet"
    shown = ", ".join(f"{name} {value[:6]}" for name, value in rows[-1].items() if name.startswith("val_"))
    return f"epoch {rows[-1]['epoch']}, {shown}"
