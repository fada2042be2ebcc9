"""The clock of a GPU: read where it can be, and else left out."""

import pytest
import torch

from benchmarks.support.clock import clock_of


def test_a_processor_has_none() -> None:
    assert clock_of(torch.device("cpu")) is None


def test_it_is_that_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "clock_rate", lambda device: 1980 if device == torch.device("cuda:1") else 0)
    assert clock_of(torch.device("cuda:1")) == 1980


def test_a_library_that_is_not_there_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(device: torch.device) -> int:
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "clock_rate", missing)
    assert clock_of(torch.device("cuda")) is None
