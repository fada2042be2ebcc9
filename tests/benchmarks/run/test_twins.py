"""Twins: trainings that begin a rounding apart."""

import math

import pytest
import torch

from benchmarks.cli import main
from benchmarks.run.twins import distances, exponent, train_twin
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.support.errors import OK
from benchmarks.tasks import TASKS

SMALL = ("--model.hidden_size", "8", "--trainer.precision", "64-true")


@pytest.fixture(scope="module")
def twins():
    settings = read_settings(find_run("digits/antisymmetric"), SMALL)
    task = TASKS["digits"](batch_size=300)
    task.setup()
    return lambda perturbation, twin, steps=7: train_twin(settings, task, steps, perturbation, twin)


def test_twin_zero_is_the_run_itself(twins) -> None:
    assert all(map(torch.equal, twins(1e-7, 0).weights, twins(1e-3, 0).weights))


def test_distance_begins_with_the_perturbation_and_is_linear_in_it(twins) -> None:
    run = twins(0.0, 0)
    near, far = (distances(run, twins(size, 1)) for size in (1e-9, 2e-9))
    # After the first step Adam has moved each weight by its rate whatever the gradient, so the perturbation is there.
    assert near[0] == pytest.approx(1e-9, rel=0.5)  # its norm is that of some 100 normal numbers, unevenly weighted
    # Second order is 1e-9 of the first, made larger by at most some thousands in seven steps.
    assert far == pytest.approx([2 * distance for distance in near], rel=1e-4)


def test_exponent_of_a_geometric_growth_is_its_rate() -> None:
    assert exponent([1e-7 * math.exp(0.2 * step) for step in range(100)]) == pytest.approx(0.2)
    assert exponent([1e-7] * 10) == 0.0


def test_command_shows_the_twins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "digits/antisymmetric", *SMALL, "--task.batch_size", "300", "--steps", "3"]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("digits/antisymmetric: ")
    assert lines[2].startswith("| twin | gradient | step 1 | step 3 | exponent | score |")
    assert len(lines) == 6
