"""From a field's `pointwise` to expressions, or to the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from ...fields.field import AffinePointwiseField
from .expressions import OPERATORS, Expression, Expressions


class UntraceableError(ValueError):
    """A `pointwise` has no kernel.

    Attributes:
        reason: why, in a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Trace:
    """The elementwise part of a field.

    Attributes:
        slope: dy/dt of a unit.
        y: the state's entry.
        p: the preactivation's entries.
        u: the control's, and after them the numbers of the unit.
        numbers: (parameters and buffers) -> the numbers of the units (numbers, n), with a graph; or None.
        controls: the control's entries.
    """

    slope: Expression
    y: Expression
    p: tuple[Expression, ...]
    u: tuple[Expression, ...]
    numbers: Callable[..., Tensor] | None
    controls: int


@dataclass(frozen=True, slots=True)
class TracedRate:
    """dy/dt of a trace in torch, as a second derivative wants it: (y, p, u) -> dy/dt, of rows.

    Attributes:
        namespace: of the operators that were made of the trace; equal ones have equal traces.
        trace: the trace.
    """

    namespace: str
    trace: Trace = field(compare=False)

    def __call__(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        """The slope; the numbers of the units are the last entries of the control."""
        trace, leaves = self.trace, {self.trace.y.index: y}
        for entries, whole in ((trace.p, p), (trace.u, u)):
            groups = whole.unflatten(-1, (len(entries), y.shape[-1])).unbind(-2) if entries else ()
            leaves |= {entry.index: group for entry, group in zip(entries, groups, strict=True)}
        return trace.slope.of.value(trace.slope, leaves, y)


class _Pointwise(nn.Module):
    """A field whose call is its `pointwise`."""

    def __init__(self, field: AffinePointwiseField) -> None:
        super().__init__()
        self.field = field

    def forward(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self.field.pointwise(y, p, u)


def state_of(field: AffinePointwiseField) -> dict[str, Tensor]:
    """The parameters and the buffers that `pointwise` may read, by name."""
    return {**dict(field.named_parameters()), **dict(field.named_buffers())}


def trace(field: AffinePointwiseField, preactivations: int, controls: int, like: Tensor) -> Trace:
    """The elementwise part of a field.

    Args:
        field: one that keeps the promises of `pointwise`.
        preactivations: entries of the preactivation of a unit.
        controls: entries of the control of a unit.
        like: a tensor of the state's dtype.

    Raises:
        UntraceableError: it calls an operator that is not in the table, depends on data, or cuts the units apart.
    """
    names = list(state_of(field))
    module, n = _Pointwise(field), field.hidden_size

    def call(*given: Tensor) -> Tensor:
        values = {f"field.{name}": value for name, value in zip(names, given[:-3], strict=True)}
        return torch.func.functional_call(module, values, given[-3:]).expand(2, 3, n)

    given = [value.detach() for value in state_of(field).values()]
    given += [like.new_zeros(2, 3, k * n) for k in (1, preactivations, controls)]
    return _Reader(_graph(call, given), len(names), n, preactivations, controls).read()


def _graph(call: Callable[..., Tensor], given: list[Tensor]) -> fx.GraphModule:
    from torch.fx.experimental import proxy_tensor  # costs seconds, and only those who compile kernels need it

    try:
        with torch.no_grad():
            return proxy_tensor.make_fx(torch.func.functionalize(call), tracing_mode="fake")(*given)
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError) as error:
        raise UntraceableError(_why_not_traced(error)) from error


def _why_not_traced(error: Exception) -> str:
    if "DataDependent" in type(error).__name__:
        return f"its `pointwise` depends on the values of a tensor ({error})"
    if "convert all Tensors to FakeTensors" in str(error):
        return "its `pointwise` reads a tensor that is neither a parameter nor a buffer of the field"
    line = next(iter(str(error).splitlines()), "").strip()[:120]
    return f"its `pointwise` cannot be traced ({line})"


class _Reader:
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
        (slope,) = self._groups(result)
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
        rule = _RULES.get(name)
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
            return self._groups(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return [self.made.number(value)]
        raise UntraceableError(f"there is no kernel for an operator with the argument {value!r}")

    def _groups(self, node: Any) -> list[Expression]:
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
    return (
        given[0].of.apply(name, *given) if rule is None and not options else (rule or _RULES[name])(*given, **options)
    )


def _power(x: Expression, exponent: Expression) -> Expression:
    """A constant power: whole ones by products, halves by roots."""
    value = exponent.number()
    if value is None or (2 * value) % 1 or abs(value) > 8:
        raise UntraceableError("there is no kernel for pow with an exponent that is not a small multiple of a half")
    result = x.of.number(1.0)
    for _ in range(int(abs(value))):
        result = result * x
    result = result * x.call("sqrt") if abs(value) % 1 else result
    return x.of.number(1.0) / result if value < 0 else result


_RULES: dict[str, Callable[..., Expression]] = {
    "add": lambda x, y, alpha=None: x + (y if alpha is None else alpha * y),
    "sub": lambda x, y, alpha=None: x - (y if alpha is None else alpha * y),
    "rsub": lambda x, y, alpha=None: y - (x if alpha is None else alpha * x),
    "mul": lambda x, y: x * y,
    "pow": _power,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 * x.of.number(1.0) / x,
    "rsqrt": lambda x: x.of.number(1.0) / x.call("sqrt"),
    "silu": lambda x: x * x.call("sigmoid"),
    "addcmul": lambda x, y, z, value=None: x + (y * z if value is None else value * y * z),
    "lerp": lambda x, y, weight: x + weight * (y - x),
}


def _cut(reader: _Reader, node: fx.Node, start: int, stop: int) -> list[Expression]:
    if start % reader.n or stop % reader.n:
        raise UntraceableError("its `pointwise` cuts the units apart: parts of the state have formulas of their own")
    source: Any = node.args[0]
    return reader._groups(source)[start // reader.n : stop // reader.n]


def _along_units(node: fx.Node, place: int) -> Any:
    """The first argument, if the operator works along the last dimension."""
    source: Any = node.args[0]
    dim = node.args[place] if len(node.args) > place else 0
    size = source.meta["val"].shape if isinstance(source, fx.Node) else source[0].meta["val"].shape
    if dim not in (-1, len(size) - 1):
        raise UntraceableError(f"its `pointwise` is not elementwise: {_name(node.target)} along dimension {dim}")
    return source


def _split(reader: _Reader, node: fx.Node) -> list[list[Expression]]:
    width = _along_units(node, 2).meta["val"].shape[-1]
    size: Any = node.args[1]
    return [_cut(reader, node, start, min(start + size, width)) for start in range(0, width, size)]


def _slice(reader: _Reader, node: fx.Node) -> list[Expression]:
    source, (_, _, start, *rest) = _along_units(node, 1), (*node.args, *(None,) * (3 - len(node.args)))
    width = source.meta["val"].shape[-1]
    stop = width if not rest or rest[0] is None else rest[0]
    first, last, _ = slice(start, stop).indices(width)
    return _cut(reader, node, first, last)


def _cat(reader: _Reader, node: fx.Node) -> list[Expression]:
    return [group for part in _along_units(node, 1) for group in reader._groups(part)]


def _item(reader: _Reader, node: fx.Node) -> Any:
    source, place = node.args
    return reader.values[source][place]  # pyright: ignore[reportArgumentType, reportCallIssue]


def _expand(reader: _Reader, node: fx.Node) -> list[Expression]:
    source: Any = node.args[0]
    if source.meta["val"].shape != node.meta["val"].shape:
        raise UntraceableError("its `pointwise` does not return one number a unit")
    return reader._groups(source)


def _same(reader: _Reader, node: fx.Node) -> list[Expression]:
    return reader._groups(node.args[0])


_ARRANGING: dict[str, Callable[[_Reader, fx.Node], Any]] = {
    **dict.fromkeys(("clone", "alias", "lift_fresh"), _same),
    "split": _split,
    "slice": _slice,
    "cat": _cat,
    "getitem": _item,
    "expand": _expand,
}
"""Operators that only put groups of columns in another order."""
