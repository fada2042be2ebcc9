"""The order conditions of a Runge-Kutta method, one for each rooted tree.

A method has order p if sum_i b_i Phi_i(tree) = 1 / gamma(tree) for every rooted tree of at most p nodes.
Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.2, theorem 2.13 (with c_i = sum_j a_ij).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations_with_replacement
from math import prod

Tree = tuple["Tree", ...]
"""A rooted tree: the tuple of the subtrees at its root, in a canonical order."""


def size(tree: Tree) -> int:
    """The number of nodes of `tree`."""
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    """gamma(tree): the product, over the nodes, of the sizes of the subtrees hanging from them."""
    return size(tree) * prod(map(density, tree))


@cache
def rooted_trees(nodes: int) -> tuple[Tree, ...]:
    """All rooted trees with `nodes` nodes: 1, 1, 2, 4, 9, 20, ... of them."""
    return tuple(_forests(nodes - 1, nodes - 1))


def _forests(nodes: int, largest: int) -> Iterator[Tree]:
    """All multisets of rooted trees with `nodes` nodes together, none larger than `largest`."""
    if nodes == 0:
        yield ()
        return
    for biggest in range(min(nodes, largest), 0, -1):
        for count in range(1, nodes // biggest + 1):
            for rest in _forests(nodes - count * biggest, biggest - 1):
                for trees in combinations_with_replacement(rooted_trees(biggest), count):
                    yield trees + rest


def _stage_weights(tree: Tree, a: Sequence[Sequence[float]]) -> list[float]:
    """Phi_i(tree) for every stage i: the product over the subtrees of sum_j a_ij Phi_j(subtree)."""
    branches = [_stage_weights(subtree, a) for subtree in tree]
    return [prod(sum(x * y for x, y in zip(row, branch, strict=False)) for branch in branches) for row in a]


def residuals(a: Sequence[Sequence[float]], b: Sequence[float], order: int) -> dict[Tree, float]:
    """sum_i b_i Phi_i(tree) - 1 / gamma(tree) for every rooted tree of at most `order` nodes."""
    trees = [tree for nodes in range(1, order + 1) for tree in rooted_trees(nodes)]
    return {
        tree: sum(x * y for x, y in zip(b, _stage_weights(tree, a), strict=True)) - 1 / density(tree) for tree in trees
    }
