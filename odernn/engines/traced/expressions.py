"""Elementwise expressions of a unit's entries: built once each, differentiated, and printed as C++."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, pi, sqrt
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

Derivative = Callable[..., "tuple[Expression, ...]"]
"""(value, *arguments) -> the derivative of the value by each argument."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An elementwise operator.

    Attributes:
        code: its value in C++, with {0}, {1} for the arguments, which are vectors of T. torch has it under the same
            name, but for those that only derivatives are made of.
        derivative: by each argument.
    """

    code: str
    derivative: Derivative


class Node(NamedTuple):
    """What makes an expression.

    Attributes:
        operator: of the table, or "leaf" or "number".
        arguments: the indices of what it is applied to.
        value: the number, or a leaf's name in C++.
    """

    operator: str
    arguments: tuple[int, ...] = ()
    value: float | str = ""


class Expressions:
    """Expressions in the order in which they are computed; equal ones are one."""

    def __init__(self) -> None:
        self._number_of: dict[Node, int] = {}
        self._nodes: list[Node] = []

    def leaf(self, code: str) -> Expression:
        """What the kernel is given, by its name in C++."""
        return self._of(Node("leaf", value=code))

    def number(self, value: float) -> Expression:
        """A constant.

        Raises:
            ValueError: it is not finite.
        """
        if not isfinite(value):
            raise ValueError(f"the constant {value}")
        return self._of(Node("number", value=float(value)))

    def apply(self, operator: str, *arguments: Expression) -> Expression:
        """The value of an operator of the table."""
        return self._of(Node(operator, tuple(each.index for each in arguments)))

    def node(self, index: int) -> Node:
        """What makes the expression of that number."""
        return self._nodes[index]

    def gradients(self, value: Expression, cotangent: Expression, leaves: Sequence[Expression]) -> list[Expression]:
        """Cotangent times the derivative of the value by each of the leaves."""
        found = {value.index: cotangent}
        for index in range(value.index, -1, -1):
            operator, given, _ = self._nodes[index]
            if index not in found or not given:
                continue
            arguments = [Expression(self, each) for each in given]
            derivatives = OPERATORS[operator].derivative(Expression(self, index), *arguments)
            for argument, derivative in zip(arguments, derivatives, strict=True):
                term = found[index] * derivative
                found[argument.index] = found[argument.index] + term if argument.index in found else term
        return [found.get(leaf.index, self.number(0.0)) for leaf in leaves]

    def code(self, results: Sequence[tuple[str, Expression]]) -> str:
        """C++ statements that assign expressions to places."""
        needed = sorted(self.needed([expression for _, expression in results]))
        lines = [f"const Vector<T> v{index} = {self._printed(index)};" for index in needed]
        return "\n".join((*lines, *(f"{place} = v{expression.index};" for place, expression in results)))

    def value(self, result: Expression, leaves: Mapping[int, Tensor], like: Tensor) -> Tensor:
        """The value of an expression of the leaves, by their numbers, under autograd; shaped as `like`."""
        found = dict(leaves)
        for index in sorted(self.needed([result])):
            operator, arguments, value = self._nodes[index]
            if operator == "number":
                found[index] = like.new_tensor(value)
            elif operator != "leaf":
                function = _IN_TORCH.get(operator) or getattr(torch, operator)
                found[index] = function(*(found[each] for each in arguments))
        return found[result.index].expand_as(like)

    def needed(self, results: Sequence[Expression]) -> set[int]:
        """The numbers of all expressions that make the results."""
        found: set[int] = set()
        wanted = [each.index for each in results]
        while wanted:
            index = wanted.pop()
            if index not in found:
                found.add(index)
                wanted += self._nodes[index].arguments
        return found

    def _printed(self, index: int) -> str:
        operator, arguments, value = self._nodes[index]
        if operator == "leaf":
            return str(value)
        if operator == "number":
            return f"splat<T>(T({value!r}))"
        return OPERATORS[operator].code.format(*(f"v{each}" for each in arguments))

    def _of(self, node: Node) -> Expression:
        index = self._number_of.setdefault(node, len(self._nodes))
        if index == len(self._nodes):
            self._nodes.append(node)
        return Expression(self, index)


@dataclass(frozen=True, slots=True)
class Expression:
    """One of the expressions."""

    of: Expressions
    index: int

    def __add__(self, other: Expression | float) -> Expression:
        other = self._lifted(other)
        return other if self._is(0) else self if other._is(0) else self.of.apply("add", self, other)

    def __sub__(self, other: Expression | float) -> Expression:
        other = self._lifted(other)
        return self if other._is(0) else self.of.apply("sub", self, other)

    def __mul__(self, other: Expression | float) -> Expression:
        other = self._lifted(other)
        if self._is(0) or other._is(1):
            return self
        if self._is(1) or other._is(0):
            return other
        return -self if other._is(-1) else self.of.apply("mul", self, other)

    def __rsub__(self, other: float) -> Expression:
        return self._lifted(other) - self

    def __rmul__(self, other: float) -> Expression:
        return self._lifted(other) * self

    def __truediv__(self, other: Expression | float) -> Expression:
        return self.of.apply("div", self, self._lifted(other))

    def __neg__(self) -> Expression:
        value = self.number()
        return self.of.apply("neg", self) if value is None else self.of.number(-value)

    def number(self) -> float | None:
        """The value of a constant; None of anything else."""
        node = self.of.node(self.index)
        return node.value if node.operator == "number" and isinstance(node.value, float) else None

    def call(self, operator: str, *others: Expression) -> Expression:
        """An operator of the table, of this and others."""
        return self.of.apply(operator, self, *others)

    def _is(self, value: float) -> bool:
        return self.number() == value

    def _lifted(self, value: Expression | float) -> Expression:
        return value if isinstance(value, Expression) else self.of.number(value)


def _one(value: Expression) -> Expression:
    return value.of.number(1.0)


_IN_TORCH: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "greater": lambda x, y: (x > y).to(x.dtype),
        "softplus": torch.nn.functional.softplus,
        "where": lambda c, x, y: torch.where(c > 0, x, y),
    }
)
"""What torch has otherwise, or under another name."""


def _lanewise(name: str) -> str:
    return f"lanewise<T>([](T x) {{{{ return std::{name}(x); }}}}, {{0}})"


OPERATORS = MappingProxyType(
    {
        "add": Operator("{0} + {1}", lambda v, x, y: (_one(v), _one(v))),
        "sub": Operator("{0} - {1}", lambda v, x, y: (_one(v), -_one(v))),
        "mul": Operator("{0} * {1}", lambda v, x, y: (y, x)),
        "div": Operator("{0} / {1}", lambda v, x, y: (_one(v) / y, -(v / y))),
        "neg": Operator("-{0}", lambda v, x: (-_one(v),)),
        "tanh": Operator("tanh_of<T>({0})", lambda v, x: (1.0 - v * v,)),
        "sigmoid": Operator("logistic_of<T>({0})", lambda v, x: (v * (1.0 - v),)),
        "exp": Operator(_lanewise("exp"), lambda v, x: (v,)),
        "expm1": Operator(_lanewise("expm1"), lambda v, x: (v + 1.0,)),
        "log": Operator(_lanewise("log"), lambda v, x: (_one(v) / x,)),
        "log1p": Operator(_lanewise("log1p"), lambda v, x: (_one(v) / (x + 1.0),)),
        "sqrt": Operator(_lanewise("sqrt"), lambda v, x: (v.of.number(0.5) / v,)),
        "sin": Operator(_lanewise("sin"), lambda v, x: (x.call("cos"),)),
        "cos": Operator(_lanewise("cos"), lambda v, x: (-x.call("sin"),)),
        "sinh": Operator(_lanewise("sinh"), lambda v, x: (x.call("cosh"),)),
        "cosh": Operator(_lanewise("cosh"), lambda v, x: (x.call("sinh"),)),
        "atan": Operator(_lanewise("atan"), lambda v, x: (_one(v) / (x * x + 1.0),)),
        "erf": Operator(_lanewise("erf"), lambda v, x: (v.of.number(2 / sqrt(pi)) * (-(x * x)).call("exp"),)),
        "softplus": Operator(
            "larger<T>({0}, splat<T>(0)) + lanewise<T>([](T x) {{ return std::log1p(std::exp(-std::abs(x))); }}, {0})",
            lambda v, x: (x.call("sigmoid"),),
        ),
        "abs": Operator(_lanewise("abs"), lambda v, x: (x.call("sign"),)),
        "relu": Operator("{0} < splat<T>(0) ? splat<T>(0) : {0}", lambda v, x: (x.call("positive"),)),
        "maximum": Operator("larger<T>({0}, {1})", lambda v, x, y: ((x - y).call("share"), (y - x).call("share"))),
        "minimum": Operator("-larger<T>(-{0}, -{1})", lambda v, x, y: ((y - x).call("share"), (x - y).call("share"))),
        "greater": Operator(
            "{0} > {1} ? splat<T>(1) : splat<T>(0)", lambda v, x, y: (v.of.number(0.0), v.of.number(0.0))
        ),
        "where": Operator("{0} > splat<T>(0) ? {1} : {2}", lambda v, c, x, y: (v.of.number(0.0), c, 1.0 - c)),
        "sign": Operator(
            "{0} > splat<T>(0) ? splat<T>(1) : {0} < splat<T>(0) ? splat<T>(-1) : splat<T>(0)",
            lambda v, x: (v.of.number(0.0),),
        ),
        "positive": Operator("{0} > splat<T>(0) ? splat<T>(1) : splat<T>(0)", lambda v, x: (v.of.number(0.0),)),
        "share": Operator(  # of two that are compared: half each where they are equal, as torch has it
            "{0} > splat<T>(0) ? splat<T>(1) : {0} < splat<T>(0) ? splat<T>(0) : splat<T>(T(0.5))",
            lambda v, x: (v.of.number(0.0),),
        ),
    }
)
"""The table: a new operator is one line here, and one in `rules.py` if torch knows it by another name."""
