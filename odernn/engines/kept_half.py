"""What the native kernels keep of the forward pass beside the states: the half of a preactivation that is dense."""

from __future__ import annotations

from dataclasses import replace

from .program import Call
from .weight_blocks import NUMBERS

WHOLE = 32
"""Units of which both halves are whole vectors on every processor, as the kernels want it."""


def keeping(call: Call) -> Call:
    """The call, told to keep the preactivation that a dense block makes, so that no backward pass makes it again.

    It is told so where one half of one stage is dense in a sample: what is kept is then half as large as the states.
    """
    family = "runge-kutta" if call.kind == "traced" else "exponential"
    steps = call.method.family == family and call.substeps == 1 and call.y0.shape[1] % WHOLE == 0
    return replace(call, keeps=True) if steps and _dense_halves(call) == 1 else call


def _dense_halves(call: Call) -> int:
    """How many halves of a preactivation the dense blocks make in one step."""
    blocks, dense = call.weight_blocks, NUMBERS["dense"]
    rows = [dense in blocks[i : i + 2] for i in range(0, len(blocks), 2)]
    moves = call.method.moved or (0, 1) * len(call.method.b)
    return sum(sum(rows[half::2]) for half in moves)
