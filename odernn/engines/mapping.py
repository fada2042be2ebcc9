"""The operators under torch.func.vmap over stacked weights: networks of one architecture, all at once or in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_vmap

from .program import Operands

Dimensions = Sequence[int | None]
Mapped = tuple[tuple[Tensor, ...], tuple[int | None, ...]]
"""What `solve` returns, and where in each of the four the models stand."""


def map_in_turn(namespace: str) -> None:
    """Tell torch that a namespace's `solve` runs networks one after the other."""

    def rule(info: Any, where: Dimensions, *given: Any) -> Mapped:
        each = [_of_model(given, where, model) for model in range(info.batch_size)]
        outputs = list(zip(*(_solve(namespace)(*arguments) for arguments in each), strict=True))
        found = tuple(torch.stack(each) if each[0].numel() else each[0] for each in outputs)
        return found, tuple(0 if each[0].numel() else None for each in outputs)

    register_vmap(f"{namespace}::solve", rule)


def map_as_rows(namespace: str) -> None:
    """Tell torch that a namespace's `solve` takes the rows of all networks together, model by model.

    Its weights then have the models first: K (models, P, n), V, b and the blocks likewise. Everything that a row has of
    its own is (models * batch, ...).
    """

    def rule(info: Any, where: Dimensions, *given: Any) -> Mapped:
        *operands, program, save = given
        together = _as_rows(Operands(*operands), where, info.batch_size)
        outputs = _solve(namespace)(*together, program, save)
        places = tuple(place if each.numel() else None for each, place in zip(outputs, _ROWS, strict=True))

        def apart(x: Tensor, place: int | None) -> Tensor:
            return x if place is None else x.unflatten(place, (info.batch_size, -1))

        return tuple(map(apart, outputs, places)), places

    register_vmap(f"{namespace}::solve", rule)


_ROWS = (1, 0, 1, 2)
"""Where the rows stand in what `solve` returns."""


def _solve(namespace: str) -> Callable[..., tuple[Tensor, ...]]:
    return getattr(torch.ops, namespace).solve


def _of_model(given: Sequence[Any], where: Dimensions, model: int) -> list[Any]:
    return [
        x if dimension is None else x.select(dimension, model).contiguous()
        for x, dimension in zip(given, where, strict=True)
    ]


def _contiguous(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous()


def _as_rows(operands: Operands, where: Dimensions, models: int) -> Operands:
    if operands.lengths is not None:
        raise NotImplementedError("vmap maps no sequences of several lengths; run them network by network")
    pairs = zip(operands, where[: len(operands)], strict=True)
    each = [None if x is None else _models_first(x, dimension, models) for x, dimension in pairs]
    of = Operands(*each)  # pyright: ignore[reportArgumentType] - what is there stays there
    return Operands(
        y0=_rows(of.y0),
        weight=of.weight.contiguous(),
        samples=of.samples.transpose(0, 1).flatten(1, 2).contiguous(),
        input_weight=_contiguous(of.input_weight),
        bias=_contiguous(of.bias),
        before=None if of.before is None else _rows(of.before),
        dt=_steps_as_rows(operands.dt, where[6], of),
        carried=None if of.carried is None else of.carried.transpose(0, 1).flatten(1, 2).contiguous(),
        coefficients=_coefficients_as_rows(operands.coefficients, where[8], of),
        blocks=_contiguous(of.blocks),
    )


def _models_first(x: Tensor, dimension: int | None, models: int) -> Tensor:
    """A tensor with the models first; what all models share is repeated."""
    return x.expand(models, *x.shape) if dimension is None else x.movedim(dimension, 0)


def _rows(x: Tensor) -> Tensor:
    return x.flatten(0, 1).contiguous()


def _steps_as_rows(dt: Tensor, dimension: int | None, of: Operands) -> Tensor:
    """The steps: as they are where all rows have the same, else (models * batch, time)."""
    if dimension is None and dt.ndim < 2:
        return dt
    models, time, batch = of.samples.shape[:3]
    steps = of.dt if of.dt.ndim == 3 else of.dt.reshape(models, 1, -1)
    return _rows(steps.expand(models, batch, time))


def _coefficients_as_rows(coefficients: Tensor | None, dimension: int | None, of: Operands) -> Tensor | None:
    """Given coefficients: as they are where all rows have the same, else of every row of every network."""
    if coefficients is None or (dimension is None and coefficients.shape[2] == 1):
        return coefficients
    assert of.coefficients is not None
    each = of.coefficients.expand(-1, -1, -1, of.samples.shape[2], -1)
    return each.permute(1, 2, 0, 3, 4).flatten(2, 3).contiguous()
