"""Schemes are timed in turn, after a pass that does not count, for a sequence and not for the batch."""

import torch
from torch import nn

from benchmarks.compare.plan import REPEATS, time_steps
from benchmarks.compare.timing import time_in_turn
from benchmarks.objectives import Batch, Regression


class Recorder(nn.Module):
    """Notes its calls in a list that it shares with others."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.name, self.calls = name, calls

    def forward(self, x: torch.Tensor, save: str = "end") -> torch.Tensor:
        self.calls.append((self.name, len(x)))
        return self.weight * x[:, 0]


def test_forward_passes_take_turns() -> None:
    calls: list[tuple[str, int]] = []
    seconds = time_in_turn([Recorder("a", calls), Recorder("b", calls)], torch.ones(4, 3, 1), 3)
    assert calls == [("a", 1), ("b", 1), *[("a", 4), ("b", 4)] * 3]
    assert [len(each) for each in seconds] == [3, 3]


def test_training_steps_take_turns() -> None:
    calls: list[tuple[str, int]] = []
    batch = Batch(torch.ones(4, 3, 1), torch.ones(4, 1))
    networks = [Recorder("a", calls), Recorder("b", calls)]
    assert len(time_steps(networks, Regression(1), batch)) == 2
    assert calls == [("a", 4), ("b", 4)] * (REPEATS + 1)
    assert all(network.weight.grad is None for network in networks)
