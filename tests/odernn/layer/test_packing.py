"""Law: segments are packed on a device as on the host, by so many launches however many lengths there are."""

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from odernn.engines.problem import packed_samples
from odernn.layer.segments import Segments


@pytest.mark.parametrize("lengths", [[1], [7, 7, 7], [9, 5, 5, 2, 1]])
def test_samples_have_the_order_of_a_packed_sequence(lengths: list[int]) -> None:
    time = torch.arange(lengths[0]).unsqueeze(1).expand(-1, len(lengths))
    row = torch.arange(len(lengths)).expand(lengths[0], -1)
    found = packed_samples(torch.tensor(lengths))
    for have, want in zip(found, (time, row), strict=True):
        assert torch.equal(have, pack_padded_sequence(want, lengths).data)


class Counted(TorchDispatchMode):
    """Counts what a device would be told to do."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def launches(lengths: list[int]) -> int:
    numbers = torch.arange(len(lengths), device="meta")
    parts = [(row, 0) for row in range(len(lengths))]
    segments = Segments(parts, numbers, torch.zeros_like(numbers), lengths, [False] * len(lengths))
    with Counted() as counted:
        index, _ = segments.packed(lambda number, row: row.add(number, alpha=len(lengths)), [])
    assert index.shape == (sum(lengths),)
    return counted.count


def test_the_launches_do_not_depend_on_the_lengths() -> None:
    assert launches([30, 30, 30]) == launches([30, 22, 17])
