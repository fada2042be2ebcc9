"""A layer as a plain loop in float64: sequence by sequence, sample by sample, stage by stage, with nothing in common.

Only the field is the layer's own. It is what laws on resets, lengths and masks compare with, where comparing one call
of the product with another would let both err in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from odernn import ODERNN, StackedODERNN
from odernn.control.hold import LinearHold

TABLEAUS = {
    "Euler()": ([[]], [1.0], [0.0]),
    "Heun()": ([[], [1.0]], [0.5, 0.5], [0.0, 1.0]),
    "RK4()": ([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0.0, 0.5, 0.5, 1.0]),
}
"""a, b and c, as in the books."""


@dataclass
class Given:
    """What a call is given besides samples and a start.

    Attributes:
        resets: (time, batch), before which samples a sequence starts afresh; one before a sample that is left out
            counts for the next.
        lengths: samples of each sequence.
        mask: (time, batch), which samples there are.
        dt: (batch, time), another step than the layer's.
        timestamps: (batch, time); before the first sample of a sequence or of an episode lies the layer's step.
        truncate: after how many samples gradients stop.
        save: "trajectory", or "end" for no output.
    """

    resets: Tensor | None = None
    lengths: Sequence[int] | Tensor | None = None
    mask: Tensor | None = None
    dt: Tensor | None = None
    timestamps: Tensor | None = None
    truncate: int | None = None
    save: str = "trajectory"

    def samples(self, b: int, time: int) -> list[tuple[int, bool]]:
        """The samples of sequence b, and whether the state starts afresh before each."""
        found, fresh = [], False
        for n in range(time if self.lengths is None else int(self.lengths[b])):
            fresh = fresh or (self.resets is not None and bool(self.resets[n, b]))
            if self.mask is None or self.mask[n, b]:
                found.append((n, fresh))
                fresh = False
        return found


def by_hand(rnn: ODERNN, x: Tensor, y0: Tensor | None = None, **given: Any) -> tuple[Tensor | None, Tensor]:
    """What `rnn(x, y0, **given)` returns, with `x` (time, batch, input) and `y0` (1, batch, hidden)."""
    start = x.new_zeros(x.shape[1], rnn.field.hidden_size) if y0 is None else y0[0]
    output, end, _ = walk(rnn, x, start, x.new_zeros(x.shape[1]), Given(**given))
    return output, end.unsqueeze(0)


def stack_by_hand(
    rnn: StackedODERNN, x: Tensor, y0: Tensor | None = None, **given: Any
) -> tuple[Tensor | None, Tensor]:
    """The same of a stack; `y0` is (layers * directions, batch, hidden), a layer's two directions side by side."""
    ends: list[Tensor] = []
    output: Tensor | None = x
    for networks in rnn.directions():
        found = []
        for reverse, network in enumerate(networks):
            t = x.new_zeros(x.shape[1])
            y = x.new_zeros(x.shape[1], network.field.hidden_size) if y0 is None else y0[len(ends)]
            found.append(walk(network, output, y, t, Given(**given), reverse=bool(reverse)))
            ends.append(found[-1][1])
        output = torch.cat([each for each, _, _ in found], dim=-1)
    return output, torch.stack(ends)


def walk(
    rnn: ODERNN, x: Tensor, y0: Tensor, t0: Tensor, given: Given, *, reverse: bool = False
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The output (time, batch, hidden), and the state (batch, hidden) and time at each end.

    The output is zero beyond a length, and the state as it is at a sample that is masked.

    Args:
        rnn: the layer.
        x: (time, batch, input).
        y0: (batch, hidden).
        t0: (batch,), the time before the first sample.
        given: what else the call has.
        reverse: from the last sample to the first; a reset parts the same two samples.
    """
    places: dict[tuple[int, int], Tensor] = {}
    ends, times = [], []
    for b in range(x.shape[1]):
        order = given.samples(b, x.shape[0])
        if reverse:
            breaks = [False, *(fresh for _, fresh in reversed(order[1:]))]
            order = [(n, fresh) for (n, _), fresh in zip(reversed(order), breaks, strict=False)]
        y, t, before = y0[b : b + 1], t0[b], None
        for k, (n, afresh) in enumerate(order):
            if given.truncate is not None and k and k % given.truncate == 0:
                y = y.detach()
            if afresh:
                y, t, before = torch.zeros_like(y), torch.zeros_like(t), None
            if given.timestamps is not None and (afresh or k == 0):
                t = given.timestamps[b, n] - rnn.dt
            dt = rnn.dt if given.dt is None else given.dt[b, n]
            dt = dt if given.timestamps is None else given.timestamps[b, n] - t
            u = rnn.field.control(x[n, b : b + 1])
            y = _step(rnn, t, dt, y, u if before is None or not isinstance(rnn.hold, LinearHold) else before, u)
            t, before, places[n, b] = t + dt, u, y
        ends.append(y)
        times.append(t)
    if given.save == "end":
        return None, torch.cat(ends), torch.stack(times)
    columns = [
        _column(places, y0[b], b, x.shape[0], held=given.mask is not None, reverse=reverse) for b in range(len(y0))
    ]
    return torch.stack(columns, dim=1), torch.cat(ends), torch.stack(times)


def _column(
    places: dict[tuple[int, int], Tensor], start: Tensor, b: int, time: int, *, held: bool, reverse: bool
) -> Tensor:
    """The output of sequence b (time, hidden)."""
    last = start if held else torch.zeros_like(start)
    found: dict[int, Tensor] = {}
    for n in reversed(range(time)) if reverse else range(time):
        found[n] = places[n, b][0] if (n, b) in places else last
        last = found[n] if held else last
    return torch.stack([found[n] for n in range(time)])


def _step(rnn: ODERNN, t: Tensor, dt: Any, y: Tensor, before: Tensor, u: Tensor) -> Tensor:
    """One step, the control a straight line from `before` to `u`."""
    assert rnn.substeps == 1
    a, b, c = TABLEAUS[repr(rnn.solver)]
    k: list[Tensor] = []
    for row, node in zip(a, c, strict=True):
        stage = y + sum((dt * weight * slope for weight, slope in zip(row, k, strict=True)), torch.zeros_like(y))
        k.append(rnn.field(t + node * dt, stage, before + node * (u - before)))
    return y + sum((dt * weight * slope for weight, slope in zip(b, k, strict=True)), torch.zeros_like(y))
