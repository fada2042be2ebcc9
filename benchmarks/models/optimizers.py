"""The optimizers by name."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn, optim

from benchmarks.settings.types import OptimizerSettings
from benchmarks.support.errors import UserError

ADAMS: dict[str, type[optim.Adam] | type[optim.AdamW]] = {"adam": optim.Adam, "adamw": optim.AdamW}


def make_optimizer(settings: OptimizerSettings, parameters: Iterator[nn.Parameter]) -> optim.Optimizer:
    """torch's optimizer for `parameters`; what the settings do not name is torch's default."""
    if settings.name == "sgd":
        return optim.SGD(parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
    if settings.name == "adagrad":
        return optim.Adagrad(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    make = ADAMS[settings.name]
    if settings.betas is None:
        return make(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    return make(parameters, lr=settings.lr, weight_decay=settings.weight_decay, betas=tuple(settings.betas))


def check_optimizer(settings: OptimizerSettings) -> None:
    """Raises UserError for what would silently do nothing, and for betas that keep everything."""
    if settings.momentum and settings.name != "sgd":
        raise UserError(
            f"`optimizer.momentum` is {settings.momentum} and {settings.name} takes none; set it to 0 or use sgd"
        )
    if settings.betas is None:
        return
    if settings.name not in ADAMS:
        raise UserError(f"`optimizer.betas` is {list(settings.betas)} and {settings.name} takes none; set it to null")
    if max(settings.betas) == 1:
        raise UserError(f"`optimizer.betas` is {list(settings.betas)}; give two numbers from 0 to below 1")
