"""Trained networks for the figures, tiny runs on the digits; and each figure of an untrained one, made once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchmarks.commands.train import parse
from benchmarks.figures.networks import Request
from benchmarks.figures.picture import Picture
from benchmarks.figures.registry import FIGURES
from benchmarks.run.train import train

TINY = ("--model.hidden_size", "4", "--epochs", "1", "--trainer.threads", "1", "--trainer.accelerator", "cpu")


def run_folder(out: Path, name: str, *options: str) -> Path:
    spec = parse([name, *TINY, "--progress", "none", "--out", str(out), *options])
    assert train(spec).status == "finished"
    return spec.folder.path


@pytest.fixture(scope="session")
def small() -> Callable[[str], Picture]:
    """A figure as `--small` asks for it. Not to be changed."""
    return cache(lambda name: FIGURES[name](Request(small=True)))


@pytest.fixture(scope="session")
def antisymmetric_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the antisymmetric network. Not to be written to."""
    return run_folder(tmp_path_factory.mktemp("runs"), "digits/antisymmetric", "--model.engine", "torch")


@pytest.fixture(scope="session")
def lstm_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of torch's LSTM. Not to be written to."""
    return run_folder(tmp_path_factory.mktemp("runs"), "digits/lstm")
