"""`linearise`: slope and derivatives of an evaluation in all intervals at once, with their control, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from .elementwise import write_values
from .plans import Linearise
from .source import Source, compiled

TILE = 2048
"""Entries of a program's tile: few enough that its values stay in registers."""
_SIGNATURE = "p, samples, input_weight, bias, step, out, slope, by_control, count, batch"


@cache
def linearise_kernel(plan: Linearise) -> Any:
    """The kernel."""
    return compiled("linearise", linearise_text(plan))


def tile_of(plan: Linearise) -> tuple[int, int]:
    """Rows and units of a program's tile."""
    units = min(128, 1 << (plan.width - 1).bit_length())
    return max(1, TILE // units), units


def linearise_text(plan: Linearise) -> str:
    """Its text."""
    source = Source()
    source('@triton.jit(do_not_specialize=["count", "batch"])')
    with source.block(f"def linearise({_SIGNATURE}):"):
        _write_places(source, plan)
        _write_control(source, plan)
        _write_results(source, plan)
    return source.text()


def _write_places(source: Source, plan: Linearise) -> None:
    """The rows, time by time, and the units of a program; the step of each row, and its preactivations."""
    rows, units = tile_of(plan)
    source(
        f"rows = (tl.program_id(0).to(tl.int64) * {rows} + tl.arange(0, {rows}))[:, None]",
        f"units = (tl.program_id(1) * {units} + tl.arange(0, {units}))[None, :]",
        "row_in = rows < count.to(tl.int64) * batch",
        f"unit_in = units < {plan.width}",
        "inside = row_in & unit_in",
        f"place = rows * {plan.width} + units",
        f"place_p = rows * {plan.width * plan.groups} + units",
        "time = rows // batch",
    )
    match plan.step:
        case "number":
            source("h = step")
        case "time":
            source("h = tl.load(step + time, mask=row_in, other=0.0)")
        case "rows":
            source("h = tl.load(step + rows, mask=row_in, other=0.0)")
    for group in range(plan.groups):
        source(f"p_{group} = tl.load(p + place_p + {group * plan.width}, mask=inside, other=0.0)")


def _write_control(source: Source, plan: Linearise) -> None:
    """The control of each unit: read, or made of the samples."""
    controls = plan.trace.controls
    if plan.inputs is None:
        for j in range(controls):
            at = f"samples + rows * {controls * plan.width} + {j * plan.width} + units"
            source(f"u_{j} = tl.load({at}, mask=inside, other=0.0)")
        return
    m = plan.inputs
    for i in range(m):
        source(f"x_{i} = tl.load(samples + rows * {m} + {i}, mask=row_in, other=0.0)")
    for j in range(controls):
        row = f"({j * plan.units + plan.first} + units)"
        source(f"u_{j} = tl.load(bias + {row}, mask=unit_in, other=0.0)")
        for i in range(m):
            source(f"u_{j} = u_{j} + x_{i} * tl.load(input_weight + {row} * {m} + {i}, mask=unit_in, other=0.0)")


def _write_results(source: Source, plan: Linearise) -> None:
    """The slope, the step times its derivative by each preactivation, and that by each control if it is asked for."""
    trace, made = plan.trace, plan.trace.slope.of
    leaves = [*trace.p, *(trace.u if plan.by_control else ())]
    results = [trace.slope, *made.gradients(trace.slope, made.number(1.0), leaves)]
    names = {f"p[{i}]": f"p_{i}" for i in range(plan.groups)} | {f"u[{j}]": f"u_{j}" for j in range(trace.controls)}
    slope, *derivatives = write_values(source, results, names, "v")
    source(f"tl.store(slope + place, {slope}, mask=inside)")
    beside = (plan.evaluations - 1) * plan.width * plan.groups
    _store(source, derivatives[: plan.groups], f"out + time * batch * {beside} + place_p", plan.width, "h * ")
    wide = f"by_control + rows * {trace.controls * plan.width} + units"
    _store(source, derivatives[plan.groups :], wide, plan.width, "")


def _store(source: Source, values: Sequence[str], pointer: str, width: int, factor: str) -> None:
    """One value a unit after the other, each in a block of `width`."""
    for number, value in enumerate(values):
        source(f"tl.store({pointer} + {number * width}, {factor}{value} + tl.zeros_like(p_0), mask=inside)")
