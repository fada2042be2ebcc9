"""Budgets as a file, and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.budgets.kernels import ARCHITECTURES, Kernel
from benchmarks.budgets.measure import Budget
from benchmarks.support.atomic import write_text
from benchmarks.support.errors import UserError
from benchmarks.support.markdown import markdown_table


def write(path: Path, budgets: Sequence[Budget], triton: str) -> None:
    """Write budgets as JSON."""
    write_text(path, json.dumps({"triton": triton, "budgets": [asdict(each) for each in budgets]}, indent=1) + "\n")


def read(path: Path) -> list[Budget]:
    """From JSON.

    Raises:
        UserError: there is no such file, or it is another one.
    """
    try:
        found = json.loads(path.read_text("utf-8"))["budgets"]
        return [Budget(**{**each, "kernel": Kernel(**each["kernel"])}) for each in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no budgets: {error}") from error


def to_markdown(budgets: Sequence[Budget]) -> str:
    """One row a kernel, with the cards beside one another."""
    rows: dict[Kernel, dict[int, Budget]] = {}
    for each in budgets:
        rows.setdefault(each.kernel, {})[each.architecture] = each
    head = ["method", "units", "products", "kernel", *(f"sm_{each}" for each in ARCHITECTURES)]
    lines = [
        [
            ", ".join(filter(None, (kernel.method, kernel.variant))),
            str(kernel.units),
            kernel.precision + (", streamed" if kernel.is_streamed else ""),
            kernel.direction,
        ]
        + [_cell(found.get(each), ARCHITECTURES[each]) for each in ARCHITECTURES]
        for kernel, found in rows.items()
    ]
    return markdown_table(head, lines, {"method", "products", "kernel"})


def _cell(budget: Budget | None, limit: int) -> str:
    if budget is None:
        return ""
    text = f"{budget.registers} / {budget.stack} / {budget.shared}"
    return text if budget.shared <= limit else f"({text})"
