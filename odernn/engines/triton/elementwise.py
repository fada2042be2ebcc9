"""The elementwise part of a field as Triton's language has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ...fields.activation import GATED_TANH, LINEAR, LINEAR_PLUS_TANH, TANH
from ..traced.expressions import Expression, Expressions
from ..traced.trace import Trace
from .source import Source

TEMPLATES: Mapping[str, str] = MappingProxyType(
    {
        "add": "{0} + {1}",
        "sub": "{0} - {1}",
        "mul": "{0} * {1}",
        "div": "{0} / {1}",
        "neg": "-{0}",
        "tanh": "odernn_tanh({0})",
        "sigmoid": "tl.sigmoid({0})",
        "exp": "tl.exp({0})",
        "expm1": "odernn_expm1({0})",
        "log": "tl.log({0})",
        "log1p": "odernn_log1p({0})",
        "sqrt": "tl.sqrt({0})",
        "sin": "tl.sin({0})",
        "cos": "tl.cos({0})",
        "sinh": "(tl.exp({0}) - tl.exp(-{0})) * 0.5",
        "cosh": "(tl.exp({0}) + tl.exp(-{0})) * 0.5",
        "erf": "tl.erf({0})",
        "softplus": "tl.where({0} > 0, {0}, 0.0) + odernn_log1p(tl.exp(-tl.abs({0})))",
        "greater": "tl.where({0} > {1}, 1.0, 0.0)",
        "where": "tl.where({0} > 0, {1}, {2})",
        "abs": "tl.abs({0})",
        "relu": "tl.where({0} < 0, 0.0, {0})",
        "maximum": "tl.where({0} > {1}, {0}, {1})",
        "minimum": "tl.where({0} < {1}, {0}, {1})",
        "sign": "tl.where({0} > 0, 1.0, tl.where({0} < 0, -1.0, 0.0))",
        "positive": "tl.where({0} > 0, 1.0, 0.0)",
        "share": "tl.where({0} > 0, 1.0, tl.where({0} < 0, 0.0, 0.5))",
    }
)
"""By the names of the table of expressions. What is missing has no kernel, and the torch engine serves."""


def untold(trace: Trace) -> str | None:
    """The first operator of a trace that has no template, or None."""
    made = trace.slope.of
    names = (made.node(index).operator for index in sorted(made.needed([trace.slope])))
    return next((name for name in names if name not in TEMPLATES and name not in ("leaf", "number")), None)


def write_values(source: Source, results: Sequence[Expression], names: Mapping[str, str], prefix: str) -> list[str]:
    """Write the statements of expressions, and give the names of the results.

    Args:
        source: where to.
        results: the expressions, of one trace: its slope, or derivatives of it.
        names: of the leaves in the kernel.
        prefix: of the names of the values between.
    """
    made = results[0].of
    told: dict[int, str] = {}
    for index in sorted(made.needed(results)):
        operator, arguments, value = made.node(index)
        if operator == "leaf":
            told[index] = names[str(value)]
        elif operator == "number":
            told[index] = repr(value)
        else:
            told[index] = f"{prefix}_{index}"
            source(f"{told[index]} = " + TEMPLATES[operator].format(*(told[each] for each in arguments)))
    return [told[each.index] for each in results]


def _trace(preactivations: int, controls: int, slope: str) -> Trace:
    made = Expressions()
    p = tuple(made.leaf(f"p[{i}]") for i in range(preactivations))
    u = tuple(made.leaf(f"u[{i}]") for i in range(controls))
    return Trace(_SLOPES[slope](p, u), made.leaf("y"), p, u, None, controls)


def _gated(p: Sequence[Expression], u: Sequence[Expression]) -> Expression:
    return (p[0] + u[1]).call("sigmoid") * (p[0] + u[0]).call("tanh")


_SLOPES = {
    TANH.name: lambda p, u: (p[0] + u[0]).call("tanh"),
    GATED_TANH.name: _gated,
    LINEAR.name: lambda p, u: p[0] + u[0],
    LINEAR_PLUS_TANH.name: lambda p, u: p[0] + (p[1] + u[0]).call("tanh"),
}

KINDS: Mapping[str, Trace] = MappingProxyType(
    {
        TANH.name: _trace(1, 1, TANH.name),
        GATED_TANH.name: _trace(1, 2, GATED_TANH.name),
        LINEAR.name: _trace(1, 1, LINEAR.name),
        LINEAR_PLUS_TANH.name: _trace(2, 1, LINEAR_PLUS_TANH.name),
    }
)
"""The registered activations by name; a test compares each with its function."""
