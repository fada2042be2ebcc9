"""Law: an engine that takes sequences of like lengths only, as in a rectangle, gives what one that takes all gives."""

from itertools import chain
from typing import Any

import pytest
import torch

from odernn import ODERNN, AntisymmetricField
from odernn.engines import problem
from odernn.engines.problem import LARGEST_RECTANGLE
from odernn.layer import segments
from odernn.layer.integrator import Integrator
from odernn.layer.segments import Segments

LENGTHS = [90, 40, 11, 10, 9, 2, 1, 1]


def parts_of_lengths() -> Segments:
    count = len(LENGTHS)
    parts = [(row, 0) for row in range(count)]
    return Segments(parts, torch.arange(count), torch.arange(count), LENGTHS, [bool(row % 2) for row in range(count)])


def test_groups_hold_every_segment_once_and_fill_their_rectangles() -> None:
    groups = parts_of_lengths().alike()
    assert [group.lengths for group in groups] == [[90, 40], [11, 10, 9, 2], [1, 1]]
    whole = parts_of_lengths()
    for name in ("parts", "lengths", "fresh"):
        assert list(chain.from_iterable(getattr(group, name) for group in groups)) == getattr(whole, name)
    for name in ("row", "start"):
        assert torch.equal(torch.cat([getattr(group, name) for group in groups]), getattr(whole, name))
    for group in groups:
        assert group.lengths[0] <= LARGEST_RECTANGLE * group.lengths[-1]


@pytest.mark.parametrize("save", ["trajectory", "end"])
@pytest.mark.parametrize("steps", [False, True])
def test_a_layer_runs_them_group_by_group(save: Any, steps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    rnn = ODERNN(AntisymmetricField(2, 4), "heun", dt=0.1).double()
    x = torch.randn(60, 3, 2, dtype=torch.float64, requires_grad=True)
    resets = torch.zeros(60, 3, dtype=torch.bool)
    resets[[3, 4, 5, 50, 52, 53, 59], 0] = True
    resets[0, 1] = resets[58, 1] = True
    dt = {"dt": torch.rand(3, 60, dtype=torch.float64) + 0.1} if steps else {}
    leaves, taken = [x, *rnn.parameters()], list[bool]()
    whole = Integrator.advance_together

    def in_rectangles(self: Integrator, samples: Any, storage: Any, *others: Any, **named: Any) -> Any:
        found = whole(self, samples, storage, *others, **named) if storage.fills_rectangle else None
        taken.append(found is not None)
        return found

    def found() -> list[torch.Tensor]:
        output, y_n = rnn(x, resets=resets, lengths=torch.tensor([60, 59, 31]), save=save, **dt)
        results = [y_n] if output is None else [output, y_n]
        loss = sum((each.square().sum() for each in results), x.new_zeros(()))
        return [*results, *torch.autograd.grad(loss, leaves)]

    want = found()
    monkeypatch.setattr(Integrator, "advance_together", in_rectangles)
    for module in (problem, segments):
        monkeypatch.setattr(module, "LARGEST_RECTANGLE", 2)
    have = found()
    assert taken == [False, *(taken[1:])]
    assert len(taken) > 2
    assert all(taken[1:])
    for one, other in zip(have, want, strict=True):
        # Sums over sequences in another order.
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-13)
