"""Seeded draws: each a function of only its arguments. The global random generators are neither read nor moved."""

import hashlib

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU; `torch.Generator().manual_seed(seed)`."""
    return torch.Generator(device="cpu").manual_seed(seed)


def permutation(length: int, seed: int) -> Int64[Tensor, "length"]:
    """A uniform random permutation of 0 ... `length` - 1."""
    return torch.randperm(length, generator=generator(seed))


def epoch_order(count: int, seed: int, epoch: int) -> Int64[Tensor, "count"]:
    """The order of `count` samples in one epoch of a run.

    `seed` and `epoch` are hashed together: with their sum, epoch 1 of seed 0 would be epoch 0 of seed 1.
    """
    digest = hashlib.sha256(f"training order, seed {seed}, epoch {epoch}".encode()).digest()
    return permutation(count, int.from_bytes(digest[:4], "big"))


def hold_out(count: int, size: int, seed: int) -> tuple[Int64[Tensor, "kept"], Int64[Tensor, "size"]]:
    """Splits 0 ... `count` - 1 at random into those kept and `size` held out, both ascending. No stratification."""
    order = permutation(count, seed)
    return order[size:].sort().values, order[:size].sort().values


def hold_out_stratified(
    labels: Int64[Tensor, "count"], size: int, seed: int
) -> tuple[Int64[Tensor, "kept"], Int64[Tensor, "size"]]:
    """Splits 0 ... count - 1 at random into those kept and `size` held out, both ascending, class by class.

    Each class gives its share of `size` rounded down or up: an evenly spaced pick from the samples sorted by class,
    in random order within a class.
    """
    order = permutation(len(labels), seed)
    by_class = order[labels[order].argsort(stable=True)]
    held = torch.zeros(len(labels), dtype=torch.bool)
    held[by_class[torch.arange(size) * len(labels) // size]] = True
    return (~held).nonzero().flatten(), held.nonzero().flatten()


def random_numbers(*key: int) -> np.random.Generator:
    """A generator of its own for every key of whole numbers: what one sample draws depends on no other sample.

    Philox is counter-based, made for many independent streams (Salmon et al., Parallel Random Numbers: As Easy as
    1, 2, 3, SC 2011); numpy's SeedSequence mixes the whole key into its own.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
