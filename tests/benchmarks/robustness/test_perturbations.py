"""Each perturbation does to pixels what the suite says of it, and noise is the same for every network."""

import pytest
import torch
from torch import Tensor

from benchmarks.robustness.perturb import attack, noise_seed, perturb
from benchmarks.robustness.suite import RANDOM, SUITE

ROWS, TIME = 40, 500
COUNT = ROWS * TIME
PIXELS = torch.rand(ROWS, TIME, 1, generator=torch.Generator().manual_seed(0))
SIGMAS = 5.0
"""Standard deviations within which a sample's statistics must lie: a fixed seed that is further off is a fault."""


def noisy(kind, level: float, pixels: Tensor = PIXELS, seed: int = 0, order: Tensor | None = None) -> Tensor:
    return perturb(kind, pixels, level, seed, rows=ROWS, order=order)


def test_white_noise_has_mean_zero_and_its_deviation_and_is_not_clipped() -> None:
    noise = noisy("white", 0.3) - PIXELS
    assert abs(noise.mean()) < SIGMAS * 0.3 / COUNT**0.5
    assert abs(noise.std() - 0.3) < SIGMAS * 0.3 / (2 * COUNT) ** 0.5
    assert noisy("white", 0.3).min() < 0
    assert noisy("white", 0.3).max() > 1


def test_multiplicative_noise_is_relative_and_leaves_black_black() -> None:
    assert torch.equal(noisy("multiplicative", 0.5, torch.zeros_like(PIXELS)), torch.zeros_like(PIXELS))
    noise = noisy("multiplicative", 0.5) / PIXELS - 1
    assert abs(noise.std() - 0.5) < SIGMAS * 0.5 / (2 * COUNT) ** 0.5


def test_salt_and_pepper_replaces_half_of_its_share_by_each() -> None:
    grey = torch.full_like(PIXELS, 0.5)
    changed = noisy("salt-and-pepper", 0.1, grey)
    assert set(changed.unique().tolist()) == {0.0, 0.5, 1.0}
    for value in (0.0, 1.0):
        share = float((changed == value).float().mean())
        assert abs(share - 0.05) < SIGMAS * (0.05 * 0.95 / COUNT) ** 0.5


@pytest.mark.parametrize("kind", RANDOM)
def test_level_zero_changes_nothing(kind) -> None:
    assert torch.equal(noisy(kind, 0.0), PIXELS)


@pytest.mark.parametrize("kind", RANDOM)
def test_the_first_images_have_the_same_noise_however_many_there_are(kind) -> None:
    assert torch.equal(noisy(kind, 0.3, PIXELS[:7]), noisy(kind, 0.3)[:7])


@pytest.mark.parametrize("kind", RANDOM)
def test_a_pixel_has_the_same_noise_in_every_order_of_reading(kind) -> None:
    order = torch.randperm(TIME, generator=torch.Generator().manual_seed(3))
    assert torch.equal(noisy(kind, 0.3, PIXELS[:, order], order=order), noisy(kind, 0.3)[:, order])


def test_noise_differs_by_kind_level_draw_and_chunk() -> None:
    seeds = {
        noise_seed(SUITE, kind, level, draw, chunk)
        for kind in RANDOM
        for level in SUITE.perturbations[kind].levels
        for draw in range(SUITE.draws)
        for chunk in range(40)
    }
    assert len(seeds) == len(RANDOM) * 3 * SUITE.draws * 40


def test_the_noise_of_this_version_is_what_it_was() -> None:
    """A change of it needs another version of the suite."""
    assert noise_seed(SUITE, "white", 0.1, 0, 0) == 2818343665
    assert SUITE.version == 1


def test_an_adversarial_kind_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="which is not random"):
        noisy("fgsm", 0.1)


SLOPE = torch.randn(TIME, 1, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["fgsm", "pgd"])
def test_an_attack_on_a_linear_loss_is_the_largest_there_is(kind) -> None:
    """Its gradient is the same everywhere, so both go to the corner of the ball."""
    moved = attack(SUITE.perturbations[kind], SUITE, PIXELS, 0.05, lambda x: SLOPE.expand_as(x))
    torch.testing.assert_close(moved, PIXELS + 0.05 * SLOPE.sign(), rtol=0, atol=1e-6)  # float32, ten additions


def test_projected_descent_turns_round_where_the_loss_does() -> None:
    """The loss -(x - x0 - 0.02)^2 has its top inside the ball of 0.1: steps of 0.025 stay within one of it."""
    top = PIXELS + 0.02
    moved = attack(SUITE.perturbations["pgd"], SUITE, PIXELS, 0.1, lambda x: -2 * (x - top))
    assert (moved - top).abs().max() <= 0.025 + 1e-6
    one_step = attack(SUITE.perturbations["fgsm"], SUITE, PIXELS, 0.1, lambda x: -2 * (x - top))
    torch.testing.assert_close(one_step, PIXELS + 0.1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["fgsm", "pgd"])
@pytest.mark.parametrize("slope", [float("nan"), float("inf"), 0.0])
def test_a_pixel_without_a_finite_gradient_stays(kind, slope: float) -> None:
    moved = attack(SUITE.perturbations[kind], SUITE, PIXELS, 0.1, lambda x: torch.full_like(x, slope))
    assert torch.equal(moved, PIXELS)
