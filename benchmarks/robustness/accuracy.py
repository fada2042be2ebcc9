"""The accuracy of a network under one perturbation at one level."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from benchmarks.robustness.perturb import Pixels, attack, noise_seed, perturb
from benchmarks.robustness.suite import Perturbation, Suite
from benchmarks.robustness.trained import CHUNK, Chunk, Images

Change = Callable[[Chunk], Pixels]


def clean_accuracy(network: nn.Module, images: Images) -> float:
    """The accuracy on the images as they are."""
    return accuracy(network, images, lambda chunk: chunk.pixels)


def accuracies(
    network: nn.Module, images: Images, suite: Suite, perturbation: Perturbation, level: float
) -> list[float]:
    """The accuracy of each draw of a random perturbation; of an adversarial one, which draws nothing, the one."""
    if perturbation.is_random:
        return [accuracy(network, images, _noise(images, suite, perturbation, level, n)) for n in range(suite.draws)]
    return [accuracy(network, images, _adversary(network, images, suite, perturbation, level))]


def accuracy(network: nn.Module, images: Images, change: Change) -> float:
    """The share of the images that are classified rightly after a change; an output that is not finite is wrong."""
    right = 0
    for chunk in images.chunks():
        pixels = change(chunk)
        with torch.no_grad():
            output = network(_input(network, images, pixels))
        right += int(_is_right(output, chunk.labels).sum())
    return right / images.count


def _is_right(output: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> Tensor:
    return (output.argmax(-1) == labels) & torch.isfinite(output).all(-1)


def _noise(images: Images, suite: Suite, perturbation: Perturbation, level: float, draw: int) -> Change:
    """Noise drawn in the order of the scanline, for a whole chunk: the same whatever the network reads first."""

    def change(chunk: Chunk) -> Pixels:
        seed = noise_seed(suite, perturbation.kind, level, draw, chunk.number)
        return perturb(perturbation.kind, chunk.pixels, level, seed, rows=CHUNK, order=images.order)

    return change


def _adversary(network: nn.Module, images: Images, suite: Suite, perturbation: Perturbation, level: float) -> Change:
    def change(chunk: Chunk) -> Pixels:
        def ascent(pixels: Pixels) -> Pixels:
            variable = pixels.detach().requires_grad_()
            loss = F.cross_entropy(network(_input(network, images, variable)), chunk.labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, variable)
            return gradient

        return attack(perturbation, suite, chunk.pixels, level, ascent)

    return change


def _input(network: nn.Module, images: Images, pixels: Pixels) -> Tensor:
    """The network's input, in its dtype."""
    return images.standardise(pixels).to(next(network.parameters()).dtype)
