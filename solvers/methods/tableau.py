"""The coefficients of an explicit Runge-Kutta method, checked when they are written down."""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import check_count, check_number
from .order_conditions import residuals

ROUNDING = 1e-12
"""Sums of a few fractions of size one, each rounded to 1.1e-16, stay far below this; misprints are far above."""

MOST_ORDER = 10
"""The conditions of the next order are some 1,800 more, and no explicit method is known to meet them."""


@dataclass(frozen=True, slots=True)
class ButcherTableau:
    """The tableau `a b c` of an explicit Runge-Kutta method.

    Y_i = y + dt sum_j a_ij k_j, k_i = f(t + c_i dt, Y_i), y_next = y + dt sum_i b_i k_i.

    Args:
        order: the order of the method, up to 10; every order condition up to it is checked.
        a: one row a stage, row i (from 0) with its i entries left of the diagonal; the first row is ().
        b: the weights, one a stage.
        c: the nodes, one a stage, each the sum of its row of `a`.

    Raises:
        TypeError: an entry is not a number.
        ValueError: the shapes do not fit, an entry is not finite, a node is not its row's sum, or an order condition
            fails; the message names the entry.

    Source: Hairer, Norsett & Wanner, Solving ODEs I, sec. II.1, definition 1.1.
    """

    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]

    def __post_init__(self) -> None:
        """Run the named checks, shapes first."""
        self._check_shapes()
        self._check_entries()
        self._check_nodes()
        self._check_order()

    @property
    def stages(self) -> int:
        """The number of stages."""
        return len(self.b)

    def _check_shapes(self) -> None:
        rows = [("a", self.a), ("b", self.b), ("c", self.c)]
        if isinstance(self.a, tuple | list):
            rows += [(f"a[{i}]", row) for i, row in enumerate(self.a)]
        for name, row in rows:
            if not isinstance(row, tuple | list):
                raise TypeError(f"`{name}` is {type(row).__name__}; give a tuple")
        if not self.b:
            raise ValueError("`b` is empty; a method has at least one stage: give one weight a stage")
        for name, entries in (("a", self.a), ("c", self.c)):
            if len(entries) != self.stages:
                raise ValueError(f"`{name}` has {len(entries)} rows and `b` {self.stages}; give one of each a stage")
        for i, row in enumerate(self.a):
            if len(row) != i:
                raise ValueError(
                    f"`a[{i}]` has {len(row)} entries; an explicit method has {i}, those left of the diagonal"
                )

    def _check_entries(self) -> None:
        named = [(f"b[{i}]", value) for i, value in enumerate(self.b)]
        named += [(f"c[{i}]", value) for i, value in enumerate(self.c)]
        named += [(f"a[{i}][{j}]", value) for i, row in enumerate(self.a) for j, value in enumerate(row)]
        for name, value in named:
            check_number(name, value)

    def _check_nodes(self) -> None:
        for i, (row, node) in enumerate(zip(self.a, self.c, strict=True)):
            if abs(sum(row) - node) > ROUNDING:
                raise ValueError(f"`c[{i}]` is {node} and row `a[{i}]` sums to {sum(row)}; they are equal in a tableau")

    def _check_order(self) -> None:
        check_count("order", self.order, most=MOST_ORDER)
        if self.order > self.stages:
            raise ValueError(
                f"`order` is {self.order}, and an explicit method of {self.stages} stages has order {self.stages} at "
                "most: state a lower order"
            )
        for tree, residual in residuals(self.a, self.b, self.order).items():
            if abs(residual) > ROUNDING:
                raise ValueError(
                    f"`a` and `b` miss the order condition of the rooted tree {tree} by {residual:.3g}; "
                    f"`order` {self.order} needs it: mend the coefficients or state a lower order"
                )
