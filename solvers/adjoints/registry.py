"""ADJOINTS, the adjoints of any right-hand side by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from ..checks import check_choice
from .adjoint import Adjoint, Autograd
from .checkpointed import Checkpointed
from .continuous import Continuous
from .reversible import Reversible

ADJOINTS: Mapping[str, type[Adjoint]] = MappingProxyType(
    {
        "autograd": Autograd,
        "checkpointed": Checkpointed,
        "reversible": Reversible,
        "continuous": Continuous,
    }
)
"""The adjoints that take any right-hand side; `odernn.ADJOINTS` adds those of a recurrent layer."""


def make_adjoint(adjoint: Adjoint | str, registry: Mapping[str, type[Adjoint]] = ADJOINTS) -> Adjoint:
    """The adjoint itself, or the one that is registered under its name.

    Args:
        adjoint: an adjoint or a name.
        registry: from names to classes.

    Raises:
        TypeError: neither an adjoint nor a name, or a `registry` that is not a mapping.
        ValueError: an unknown name; the message lists the registry.
    """
    if not isinstance(registry, Mapping) or not registry:
        raise TypeError(f"`registry` is {registry!r:.60}; give a mapping from names to adjoints, such as ADJOINTS")
    if isinstance(adjoint, Adjoint):
        return adjoint
    if not isinstance(adjoint, str):
        raise TypeError(f"`adjoint` is {adjoint!r}; give an Adjoint or one of the names {', '.join(registry)}")
    check_choice("adjoint", adjoint, registry)
    return registry[adjoint]()


torch.serialization.add_safe_globals(list(ADJOINTS.values()))  # values without code: hyperparameters in a checkpoint
