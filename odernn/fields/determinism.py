"""Whether a field gives the same when it is evaluated again, after the call, as the parallel adjoint does."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize

from .field import VectorField

_CHANGING = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)


def is_deterministic(field: VectorField) -> bool:
    """Whether nothing in the field draws at random, counts or is built once a call, as far as its modules tell.

    Dropout draws again and batch normalisation counts each time; a parametrised weight is cached during the call; and
    parameters that are none of a module's own, as torch.func.functional_call puts in their place, are gone after it.
    """
    own = all(isinstance(parameter, nn.Parameter) for parameter in field.parameters())
    return own and not any(_changes(module) for module in field.modules())


def _changes(module: nn.Module) -> bool:
    return (module.training and isinstance(module, _CHANGING)) or parametrize.is_parametrized(module)
