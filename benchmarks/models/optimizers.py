"""The optimizers by name, and which parameters have which rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from torch import nn, optim

from benchmarks.settings.types import OptimizerSettings
from benchmarks.support.errors import UserError

OPTIMIZERS: Mapping[str, Callable[..., optim.Optimizer]] = MappingProxyType(
    {
        "sgd": optim.SGD,
        "adagrad": optim.Adagrad,
        "rmsprop": optim.RMSprop,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
    }
)
WITH_MOMENTUM = ("sgd", "rmsprop")
WITH_BETAS = ("adam", "adamw")


def make_optimizer(settings: OptimizerSettings, network: nn.Module) -> optim.Optimizer:
    """torch's optimizer for a network; what the settings do not name is torch's default.

    Raises:
        UserError: a name in `scaled` fits no parameter.
    """
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.name in WITH_MOMENTUM:
        options["momentum"] = settings.momentum
    if settings.betas is not None:
        options["betas"] = tuple(settings.betas)
    return OPTIMIZERS[settings.name](parameter_groups(settings, network), **options)


def parameter_groups(settings: OptimizerSettings, network: nn.Module) -> list[dict[str, Any]]:
    """The parameters with the whole rate, then those with a rate of their own; groups that would be empty left out.

    Raises:
        UserError: a name in `scaled` fits no parameter.
    """
    named = dict(network.named_parameters())
    for pattern in settings.scaled:
        if not any(fnmatchcase(name, pattern) for name in named):
            raise UserError(f"`optimizer.scaled` has {pattern!r}, which fits none of {', '.join(named)}")
    scaled = {name for name in named if any(fnmatchcase(name, pattern) for pattern in settings.scaled)}
    groups = [
        {"params": [parameter for name, parameter in named.items() if name not in scaled], "lr": settings.lr},
        {"params": [named[name] for name in named if name in scaled], "lr": settings.scale * settings.lr},
    ]
    return [group for group in groups if group["params"]]


def check_optimizer(settings: OptimizerSettings) -> None:
    """Raises UserError for what would silently do nothing, and for betas that keep everything."""
    if settings.momentum and settings.name not in WITH_MOMENTUM:
        takers = " or ".join(WITH_MOMENTUM)
        raise UserError(
            f"`optimizer.momentum` is {settings.momentum} and {settings.name} takes none; set it to 0 or use {takers}"
        )
    if settings.scale != 1 and not settings.scaled:
        raise UserError(f"`optimizer.scale` is {settings.scale}; name the parameters in `optimizer.scaled`")
    if settings.betas is None:
        return
    if settings.name not in WITH_BETAS:
        raise UserError(f"`optimizer.betas` is {list(settings.betas)} and {settings.name} takes none; set it to null")
    if max(settings.betas) == 1:
        raise UserError(f"`optimizer.betas` is {list(settings.betas)}; give two numbers from 0 to below 1")
