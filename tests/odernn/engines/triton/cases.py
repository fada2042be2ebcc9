"""Calls of the operators for every family of methods, activation, hold, step and shape that the Triton kernels take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, product
from math import sqrt
from typing import Literal

import torch
from torch import Tensor

from odernn.engines.method import (
    EULER,
    LEAPFROG,
    SYMPLECTIC_EULER,
    exponential,
    runge_kutta,
)
from odernn.engines.operators import TORCH
from odernn.engines.program import Call, Kind
from odernn.engines.triton.elementwise import KINDS
from solvers.extend import Entry
from tests.pairs import cover
from tests.reference import LINEAR_METHODS

METHODS = {
    "euler": EULER,
    "heun": runge_kutta([[], [1.0]], [0.5, 0.5], [0.0, 1.0]),
    "rk4": runge_kutta([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0.0, 0.5, 0.5, 1.0]),
    "symplectic-euler": SYMPLECTIC_EULER,
    "leapfrog": LEAPFROG,
    "flow-and-euler": exponential([Entry(1.0, -1), Entry(1.0, 0)], [[]], [Entry(1.0, -1)], [0.0]),
    "two-stage-exponential": exponential(
        [Entry(1.0, -1), Entry(1.0, 0), Entry(1.0, 0)],
        [[], [Entry(1.0, 1)]],
        [Entry(0.5, 2), Entry(0.5, -1)],
        [0.0, 1.0],
    ),
    "two-step": LINEAR_METHODS["leapfrog-midpoint"],
}
HOLDS = ("zero-order", "linear")
STEPS = ("number", "time", "rows")
CONTROLS = ("few inputs", "many inputs", "squashed", "given")
SHAPES = {"tails": (4, 5, 20), "two blocks of rows": (3, 17, 16), "one sample": (1, 16, 32), "one row": (5, 1, 6)}
WIDE = {"160 units": (4, 9, 160), "300 units": (3, 17, 300), "512 units": (2, 5, 512)}
"""Shapes for a device, whose K is streamed with "highest" on any card and, the last, whatever the precision."""
SPREAD = {"44 units": (3, 18, 44)}
"""A shape whose units, and whose halves, several programs share: two blocks of rows, and tails in both."""


@dataclass(frozen=True)
class Case:
    """A call by the names of its parts."""

    method: str
    kind: str
    hold: str
    step: str
    substeps: int
    control: str
    shape: str
    continues: bool

    def __str__(self) -> str:
        return "-".join(map(str, vars(self).values())).replace(" ", "_")


def cases() -> list[Case]:
    """Any two parts that meet in the product meet in one of them."""
    factors = (list(METHODS), list(KINDS), HOLDS, STEPS, (1, 2), CONTROLS, list(SHAPES), (False, True))
    levels = [
        row
        for row in product(*(range(len(each)) for each in factors))
        if _fits(factors[0][row[0]], factors[1][row[1]], factors[6][row[6]])
    ]
    few = cover(levels[::_STRIDE]) if _STRIDE > 1 else cover(levels)
    return [Case(*(factor[i] for factor, i in zip(factors, row, strict=True))) for row in few]


def streamed_cases() -> list[Case]:
    """Of them so few for a streamed K that each part is in one, beside all with a resident K."""
    by_parts = {tuple(vars(case).values()): case for case in cases()}
    parts = [list(dict.fromkeys(column)) for column in zip(*by_parts, strict=True)]
    rows = {tuple(map(list.index, parts, values)): case for values, case in by_parts.items()}
    return [rows[row] for row in cover(list(rows), strength=1)]


def cases_of_networks() -> list[Case]:
    """Of them one a method, for several networks at once, in turn with the control from within and from without."""
    found = []
    for place, method in enumerate(METHODS):
        fit = (case for case in cases() if case.method == method and (case.control == "few inputs") == (place % 2 == 0))
        found.append(next(fit))
    return found


def spread_cases(where: Literal["resident", "streamed"]) -> list[Case]:
    """Of the same every second one, or where K is streamed every fourth, with units that several programs share."""
    some = cases_of_networks()[:: 2 if where == "resident" else 4]
    return [replace(case, shape=shape) for case in some for shape in SPREAD]


def wide_cases() -> list[Case]:
    """The same of networks whose K does not fit on the chip, in turn with few units and many."""
    return [replace(case, shape=shape) for case, shape in zip(cases_of_networks(), cycle(WIDE), strict=False)]


_STRIDE = 13
"""Of the rows of the product, which are tens of thousands, one in so many is looked at when pairs are chosen."""


def _fits(method: str, kind: str, shape: str) -> bool:
    halves = METHODS[method].family == "shears"
    return not halves or kind == "tanh"


def call(case: Case, dtype: torch.dtype, device: str, seed: int = 0) -> Call:
    """The call, with the same numbers in every dtype and on every device."""
    method, kind = METHODS[case.method], KINDS[case.kind]
    time, batch, n = (SHAPES | WIDE | SPREAD)[case.shape]
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(device, dtype)

    def steps(*shape: int) -> Tensor:
        return (0.05 + 0.1 * torch.rand(*shape, generator=generator, dtype=torch.float64)).to(device, dtype)

    groups, controls = len(kind.p), len(kind.u)
    weight = draw(groups * n, n, scale=1 / sqrt(n))
    if method.family == "shears":
        weight[: n // 2, : n // 2] = 0
        weight[n // 2 :, n // 2 :] = 0
    m = {"few inputs": 2, "many inputs": 7, "squashed": 3, "given": controls * n}[case.control]
    given = case.control == "given"
    several = method.family == "general-linear"
    places = 0 if several else max(method.places, default=-1) + 1
    return Call(
        y0=draw(batch, n),
        weight=weight,
        samples=draw(time, batch, m),
        method=method,
        dt={"number": 0.1, "time": steps(time), "rows": steps(batch, time)}[case.step],
        input_weight=None if given else draw(controls * n, m, scale=0.3),
        bias=None if given else draw(controls * n, scale=0.3),
        kind=_kind(case.kind),
        squash="tanh" if case.control == "squashed" else "identity",
        hold=case.hold,  # pyright: ignore[reportArgumentType]
        before=draw(batch, controls * n) if case.hold == "linear" and case.continues else None,
        substeps=case.substeps,
        carried=draw(1, batch, n) if several and case.continues else None,
        coefficients=_coefficients(case, steps) if several and case.step != "number" else None,
        blocks=draw(1 if case.step == "number" else time, places, 2, 2, n // 2, scale=0.5) if places else None,
    )


def _coefficients(case: Case, steps: Callable[..., Tensor]) -> Tensor:
    """Those of the two-step midpoint rule, 1 - r^2, r^2 and 1 + r, of steps and ratios between 0.5 and 1.5."""
    time, batch, _ = (SHAPES | WIDE | SPREAD)[case.shape]
    r = 10 * steps(time, 1, batch if case.step == "rows" else 1)
    return torch.stack((1 - r * r, r * r, 1 + r), dim=-1)


def _kind(name: str) -> Kind:
    return name  # pyright: ignore[reportReturnType]


def numbers(namespace: str, made: Call) -> list[Tensor]:
    """What the operator gives, and the gradients of a weighted sum of it by every tensor, in float64 on the CPU."""
    given = [
        each.clone().requires_grad_()
        if isinstance(each, Tensor) and each.ndim and each.dtype == made.y0.dtype
        else each
        for each in made.arguments()
    ]
    outcome = getattr(torch.ops, namespace).solve(*given, True)
    leaves = [each for each in given if isinstance(each, Tensor) and each.requires_grad]
    loss = sum((_weighted(each) for each in outcome[:3]), torch.zeros((), device=made.y0.device))
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [each.detach().double().cpu() for each in (*outcome, *found) if each is not None]


def numbers_of_networks(namespace: str, calls: list[Call]) -> list[Tensor]:
    """The same of several calls at once, under vmap: each stacked."""
    rows = list(zip(*(made.arguments() for made in calls), strict=True))
    like = calls[0].y0
    stacked = [
        torch.stack(row).requires_grad_()
        if isinstance(row[0], Tensor) and row[0].ndim and row[0].dtype == like.dtype
        else row[0]
        for row in rows
    ]
    where = tuple(0 if isinstance(each, Tensor) and each.requires_grad else None for each in stacked)
    solve = getattr(torch.ops, namespace).solve
    several = calls[0].method.family == "general-linear"
    places = (0, 0, 0 if several else None, None)
    outcome = torch.func.vmap(lambda *given: solve(*given, True), where, places)(*stacked)
    leaves = [each for each in stacked if isinstance(each, Tensor) and each.requires_grad]
    losses = [_weighted(one) for each in outcome if each.numel() for one in each]
    found = torch.autograd.grad(torch.stack(losses).sum(), leaves, allow_unused=True)
    return [each.detach().double().cpu() for each in (*outcome, *found) if each is not None]


def one_by_one(calls: list[Call]) -> list[Tensor]:
    """What `numbers_of_networks` gives, from the torch engine's operator, call by call."""
    apart = zip(*(numbers(TORCH, made) for made in calls), strict=True)
    return [torch.stack(each) if each[0].numel() else each[0] for each in apart]


def _weighted(y: Tensor) -> Tensor:
    place = torch.arange(y.numel(), dtype=torch.float64)
    return (y * torch.sin(place * place * 0.37 + 1).reshape(y.shape).to(y)).sum()


def error(have: list[Tensor], want: list[Tensor]) -> float:
    """The largest difference, of the largest entry of what it is a difference of."""
    assert len(have) == len(want)
    pairs = [(one, other) for one, other in zip(have, want, strict=True) if other.numel()]
    each = [(one - other).abs().max() / other.abs().max().clamp_min(1e-3) for one, other in pairs]
    return float(torch.stack(each).max())  # which is not a number where one of them is not
