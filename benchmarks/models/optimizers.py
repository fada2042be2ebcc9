"""The optimizers by name."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn, optim

from benchmarks.settings.types import OptimizerSettings
from benchmarks.support.errors import UserError

PLAIN: dict[str, type[optim.Adagrad] | type[optim.Adam] | type[optim.AdamW]] = {
    "adagrad": optim.Adagrad,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
}


def make_optimizer(settings: OptimizerSettings, parameters: Iterator[nn.Parameter]) -> optim.Optimizer:
    """torch's optimizer for `parameters`; what the settings do not name is torch's default."""
    if settings.name == "sgd":
        return optim.SGD(parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
    return PLAIN[settings.name](parameters, lr=settings.lr, weight_decay=settings.weight_decay)


def check_optimizer(settings: OptimizerSettings) -> None:
    """Raises UserError for a momentum that would silently do nothing."""
    if settings.momentum and settings.name != "sgd":
        raise UserError(
            f"`optimizer.momentum` is {settings.momentum} and {settings.name} takes none; set it to 0 or use sgd"
        )
