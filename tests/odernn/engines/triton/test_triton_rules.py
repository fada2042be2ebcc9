"""Law: where K lies, and how many rows and programs there are, follows from sizes, precision, batch and card."""

from dataclasses import replace

import pytest

from benchmarks.budgets.kernels import ARCHITECTURES, PROCESSORS
from odernn.engines.method import EULER, LEAPFROG, Method
from odernn.engines.triton.availability import on_chip
from odernn.engines.triton.layout import Layout, Precision
from odernn.engines.triton.programs import spread_over
from odernn.engines.triton.streaming import stream_of


def chosen(method: Method, units: int, precision: Precision, batch: int, kilobytes: int) -> tuple[str, int, int]:
    """Where K lies, rows a program, and programs that share them, with the processors of an H100."""
    room, layout = kilobytes << 10, Layout(method, units, 1, precision)
    layout = on_chip(layout, room) or replace(layout, stream=stream_of(layout))
    found = spread_over(layout, batch, 1, PROCESSORS, room)
    return "streamed" if found.stream else "registers" if found.registers else "shared", found.rows, found.spread


@pytest.mark.parametrize(
    ("method", "units", "precision", "batch", "capability", "want"),
    [
        (EULER, 128, "tf32x3", 128, 90, ("registers", 8, 1)),
        (EULER, 128, "tf32x3", 1056, 90, ("registers", 8, 1)),
        (EULER, 128, "tf32x3", 1057, 90, ("registers", 16, 1)),
        (EULER, 128, "tf32x3", 128, 86, ("registers", 8, 1)),
        (LEAPFROG, 256, "bf16", 128, 90, ("registers", 8, 1)),
        (LEAPFROG, 200, "tf32x3", 128, 90, ("shared", 8, 4)),
        (EULER, 256, "bf16", 128, 90, ("registers", 8, 1)),
        (EULER, 256, "tf32", 128, 90, ("registers", 8, 8)),
        (EULER, 256, "tf32x3", 128, 90, ("shared", 8, 8)),
        (EULER, 256, "tf32x3", 129, 90, ("shared", 16, 8)),
        (EULER, 256, "tf32x3", 128, 86, ("streamed", 16, 8)),
        (EULER, 256, "tf32", 128, 86, ("registers", 8, 8)),
        (EULER, 256, "tf32", 1024, 90, ("streamed", 16, 2)),
        (EULER, 256, "tf32x3", 1024, 90, ("streamed", 16, 2)),
        (EULER, 512, "tf32x3", 128, 90, ("shared", 16, 16)),
        (EULER, 512, "tf32", 64, 90, ("shared", 8, 16)),
        (EULER, 512, "tf32x3", 3000, 90, ("streamed", 16, 1)),
    ],
)
def test_the_rule(
    method: Method, units: int, precision: Precision, batch: int, capability: int, want: tuple[str, int, int]
) -> None:
    assert chosen(method, units, precision, batch, ARCHITECTURES[capability]) == want


def test_networks_at_once_leave_fewer_processors() -> None:
    layout, room = Layout(EULER, 256, 1, "tf32", models=True), ARCHITECTURES[90] << 10
    layout = replace(layout, stream=stream_of(layout))
    found = [spread_over(layout, 128, models, PROCESSORS, room) for models in (1, 4, 8, 16)]
    assert [(each.stream is None, each.rows, each.spread) for each in found] == [
        (True, 8, 8),
        (False, 16, 4),
        (False, 16, 2),
        (False, 16, 1),
    ]
