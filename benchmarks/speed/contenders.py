"""All contenders, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.speed.contender import Contender
from benchmarks.speed.gpu_peers import gpu_peers
from benchmarks.speed.jax_peers import absent_contenders
from benchmarks.speed.ours import our_contenders
from benchmarks.speed.peers import torch_peers
from benchmarks.speed.roofline import matmul_contender

LONGEST_WHOLE = 784
"""Samples up to which one odeint for the whole sequence is measured: the reference shape's."""


def all_contenders(
    longest_whole: int = LONGEST_WHOLE, jax: Sequence[Contender] | None = None
) -> Mapping[str, Contender]:
    """The contenders by name; in place of JAX's, if they are not given, those that say so."""
    others = absent_contenders() if jax is None else jax
    all_of_them = (*our_contenders(), *torch_peers(longest_whole), *gpu_peers(), *others, matmul_contender())
    return {contender.name: contender for contender in all_of_them}
