"""Reads the graph of a `pointwise`, whose operators work on columns of units, as expressions of one unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from .expressions import OPERATORS, Expression, Expressions
from .rules import RULES
from .trace import Trace, UntraceableError


class Reader:
    """Reads a graph node by node. A value is the list of its groups of n columns, or a number, or a list of values."""

    def __init__(self, module: fx.GraphModule, state: int, n: int, preactivations: int, controls: int) -> None:
        self.module, self.state, self.n, self.controls = module, state, n, controls
        self.made = Expressions()
        self.y = self.made.leaf("y")
        self.p = [self.made.leaf(f"p[{i}]") for i in range(preactivations)]
        self.u = [self.made.leaf(f"u[{i}]") for i in range(controls)]
        self.values: dict[fx.Node, Any] = {}
        self.constant: set[fx.Node] = set()
        self.numbers: list[tuple[fx.Node, int]] = []

    def read(self) -> Trace:
        """All of it."""
        leaves = iter(([self.y], self.p, list(self.u)))
        for place, node in enumerate(self.module.graph.nodes):
            if node.op == "placeholder":
                if place < self.state:
                    self.constant.add(node)
                else:
                    self.values[node] = next(leaves)
            elif node.op == "get_attr":
                raise UntraceableError(
                    "its `pointwise` reads a tensor that is neither a parameter nor a buffer of the field"
                )
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                return self._trace(node)
        raise AssertionError

    def _trace(self, node: fx.Node) -> Trace:
        result = node.args[0]
        (result,) = result if isinstance(result, list | tuple) else (result,)
        (slope,) = self.groups(result)
        return Trace(slope, self.y, tuple(self.p), tuple(self.u), self._prologue(), self.controls)

    def _call(self, node: fx.Node) -> None:
        if all(each in self.constant for each in node.all_input_nodes):
            self.constant.add(node)
            return
        name = _name(node.target)
        if name in _ARRANGING:
            self.values[node] = _ARRANGING[name](self, node)
            return
        found = node.meta["val"]
        if not isinstance(found, Tensor) or found.shape[:2] != (2, 3):
            raise UntraceableError(f"its `pointwise` is not elementwise: {name} gives {tuple(found.shape)} in it")
        rule = RULES.get(name)
        if rule is None and name not in OPERATORS:
            raise UntraceableError(f"there is no kernel for {name}, which its `pointwise` calls")
        given = [self._operand(each, found) for each in node.args]
        facts = {key: self._operand(each, found) for key, each in node.kwargs.items()}
        width = max(len(each) for each in (*given, *facts.values()))
        columns = [[each[i if len(each) > 1 else 0] for each in given] for i in range(width)]
        options = {key: each[0] for key, each in facts.items()}
        self.values[node] = [_applied(name, rule, column, options) for column in columns]

    def _operand(self, value: Any, result: Tensor) -> list[Expression]:
        """The groups of an argument, one for all where it is a number."""
        if isinstance(value, fx.Node):
            own = value.meta["val"].shape
            if value not in self.constant and own != result.shape:
                raise UntraceableError(
                    f"its `pointwise` makes {tuple(result.shape)} of {tuple(own)}: units see each other"
                )
            return self.groups(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return [self.made.number(value)]
        raise UntraceableError(f"there is no kernel for an operator with the argument {value!r}")

    def groups(self, node: Any) -> list[Expression]:
        """The groups of a node; those of what is made of parameters only are numbers of the units."""
        if node not in self.constant:
            return self.values[node]
        if node not in self.values:
            shape = node.meta["val"].shape
            size = shape.numel()
            whole = size == 1 or (size == shape[-1] and size % self.n == 0)
            if not whole or not node.meta["val"].is_floating_point():
                raise UntraceableError(
                    f"its `pointwise` takes {tuple(shape)} of its parameters; a unit takes numbers of its own"
                )
            self.values[node] = [self._number(node, i) for i in range(1 if size == 1 else size // self.n)]
        return self.values[node]

    def _number(self, node: fx.Node, group: int) -> Expression:
        self.numbers.append((node, group))
        leaf = self.made.leaf(f"u[{len(self.u)}]")
        self.u.append(leaf)
        return leaf

    def _prologue(self) -> Callable[..., Tensor] | None:
        """What makes the numbers of the units out of parameters and buffers."""
        if not self.numbers:
            return None
        graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
        for node in self.module.graph.nodes:
            if node in self.constant:
                copies[node] = graph.node_copy(node, lambda each: copies[each])
        graph.output([copies[node] for node, _ in self.numbers])
        made, n, groups = fx.GraphModule(self.module, graph), self.n, [group for _, group in self.numbers]

        def numbers(*state: Tensor) -> Tensor:
            parts = zip(made(*state), groups, strict=True)
            return torch.stack([x.expand(n) if x.numel() == 1 else x.reshape(-1, n)[i] for x, i in parts])

        return numbers


def _name(target: Any) -> str:
    """The operator's name, as torch has it without its overload."""
    packet = getattr(target, "overloadpacket", None)
    return str(packet).removeprefix("aten.") if packet is not None else getattr(target, "__name__", str(target))


def _applied(name: str, rule: Any, given: Sequence[Expression], options: dict[str, Expression]) -> Expression:
    return given[0].of.apply(name, *given) if rule is None and not options else (rule or RULES[name])(*given, **options)


def _cut(reader: Reader, node: fx.Node, start: int, stop: int) -> list[Expression]:
    if start % reader.n or stop % reader.n:
        raise UntraceableError("its `pointwise` cuts the units apart: parts of the state have formulas of their own")
    source: Any = node.args[0]
    return reader.groups(source)[start // reader.n : stop // reader.n]


def _along_units(node: fx.Node, place: int) -> Any:
    """The first argument, if the operator works along the last dimension."""
    source: Any = node.args[0]
    dim = node.args[place] if len(node.args) > place else 0
    size = source.meta["val"].shape if isinstance(source, fx.Node) else source[0].meta["val"].shape
    if dim not in (-1, len(size) - 1):
        raise UntraceableError(f"its `pointwise` is not elementwise: {_name(node.target)} along dimension {dim}")
    return source


def _split(reader: Reader, node: fx.Node) -> list[list[Expression]]:
    width = _along_units(node, 2).meta["val"].shape[-1]
    size: Any = node.args[1]
    return [_cut(reader, node, start, min(start + size, width)) for start in range(0, width, size)]


def _slice(reader: Reader, node: fx.Node) -> list[Expression]:
    source, (_, _, start, *rest) = _along_units(node, 1), (*node.args, *(None,) * (3 - len(node.args)))
    width = source.meta["val"].shape[-1]
    stop = width if not rest or rest[0] is None else rest[0]
    first, last, _ = slice(start, stop).indices(width)
    return _cut(reader, node, first, last)


def _cat(reader: Reader, node: fx.Node) -> list[Expression]:
    return [group for part in _along_units(node, 1) for group in reader.groups(part)]


def _item(reader: Reader, node: fx.Node) -> Any:
    source, place = node.args
    return reader.values[source][place]  # pyright: ignore[reportArgumentType, reportCallIssue]


def _expand(reader: Reader, node: fx.Node) -> list[Expression]:
    source: Any = node.args[0]
    if source.meta["val"].shape != node.meta["val"].shape:
        raise UntraceableError("its `pointwise` does not return one number a unit")
    return reader.groups(source)


def _same(reader: Reader, node: fx.Node) -> list[Expression]:
    return reader.groups(node.args[0])


_ARRANGING: dict[str, Callable[[Reader, fx.Node], Any]] = {
    **dict.fromkeys(("clone", "alias", "lift_fresh"), _same),
    "split": _split,
    "slice": _slice,
    "cat": _cat,
    "getitem": _item,
    "expand": _expand,
}
"""Operators that only put groups of columns in another order."""
