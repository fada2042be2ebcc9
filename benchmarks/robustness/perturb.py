"""The perturbations themselves, of pixels from 0 to 1: random ones, and adversarial ones that follow a gradient."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.robustness.suite import Kind, Perturbation, Suite

Pixels = Float[Tensor, "batch time channel"]
Ascent = Callable[[Pixels], Pixels]
"""From pixels to the gradient of the loss by them."""


def noise_seed(suite: Suite, kind: Kind, level: float, draw: int, chunk: int) -> int:
    """The seed of the noise of one chunk of images: a function of these names and of nothing else."""
    name = f"{suite.name}/{suite.version}/{kind}/{level!r}/{draw}/{chunk}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def perturb(
    kind: Kind, pixels: Pixels, level: float, seed: int, *, rows: int, order: Int64[Tensor, " time"] | None = None
) -> Pixels:
    """Pixels with random noise, each by itself.

    Args:
        kind: one of `RANDOM`.
        pixels: from 0 to 1, at most `rows` images.
        level: of the perturbation.
        seed: of what is drawn.
        rows: images that noise is drawn for, so that the first ones have the same however many there are.
        order: step t reads pixel order[t] of the scanline, in whose order the noise is drawn; None for pixel t.

    Raises:
        ValueError: an adversarial perturbation, which follows a gradient.
    """
    make = torch.rand if kind == "salt-and-pepper" else torch.randn
    noise = make((rows, *pixels.shape[1:]), generator=torch.Generator().manual_seed(seed))[: len(pixels)]
    noise = noise if order is None else noise[:, order]
    if kind == "white":
        return pixels + level * noise
    if kind == "multiplicative":
        return pixels * (1 + level * noise)
    if kind == "salt-and-pepper":
        return torch.where(noise < level / 2, 0.0, torch.where(noise < level, 1.0, pixels))
    raise ValueError(f"`kind` is {kind!r}, which is not random; use `attack`")


def attack(perturbation: Perturbation, suite: Suite, pixels: Pixels, level: float, ascent: Ascent) -> Pixels:
    """Pixels moved to where the loss is larger, none by more than `level`.

    Source: Goodfellow, Shlens & Szegedy, Explaining and harnessing adversarial examples (ICLR 2015), for one step;
    Madry et al., Towards deep learning models resistant to adversarial attacks (ICLR 2018), for projected gradient
    descent, here without a random start.

    Args:
        perturbation: "fgsm" or "pgd".
        suite: says the steps of "pgd".
        pixels: from 0 to 1.
        level: the largest change of a pixel.
        ascent: the gradient of the loss; where it is not finite, a pixel stays.
    """
    steps, length = (1, level) if perturbation.kind == "fgsm" else (suite.pgd_steps, suite.pgd_share * level)
    moved = pixels
    for _ in range(steps):
        moved = moved + length * torch.nan_to_num(ascent(moved), 0.0, 0.0, 0.0).sign()
        moved = torch.clamp(moved, pixels - level, pixels + level)
    return moved
