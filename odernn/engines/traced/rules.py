"""Elementwise functions of torch that are put together of the table's operators."""

from __future__ import annotations

from collections.abc import Callable

from .expressions import Expression
from .trace import UntraceableError


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


def _softplus(x: Expression, beta: Expression | None = None, threshold: Expression | None = None) -> Expression:
    """The function itself at any x; torch has x beyond the threshold, 20 if none is given, which differs by 2e-9."""
    if threshold is not None and (threshold.number() or 0) < 20:
        raise UntraceableError("there is no kernel for softplus with a threshold below 20")
    return x.call("softplus") if beta is None else (beta * x).call("softplus") / beta


RULES: dict[str, Callable[..., Expression]] = {
    "add": lambda x, y, alpha=None: x + (y if alpha is None else alpha * y),
    "sub": lambda x, y, alpha=None: x - (y if alpha is None else alpha * y),
    "rsub": lambda x, y, alpha=None: y - (x if alpha is None else alpha * x),
    "mul": lambda x, y: x * y,
    "pow": _power,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 * x.of.number(1.0) / x,
    "rsqrt": lambda x: x.of.number(1.0) / x.call("sqrt"),
    "gt": lambda x, y: x.call("greater", y),
    "lt": lambda x, y: y.call("greater", x),
    "ge": lambda x, y: 1.0 - y.call("greater", x),
    "le": lambda x, y: 1.0 - x.call("greater", y),
    "leaky_relu": lambda x, slope: x.call("greater", x.of.number(0.0)).call("where", x, slope * x),
    "gelu": lambda x: 0.5 * x * ((x * x.of.number(0.5**0.5)).call("erf") + 1.0),
    "softplus": _softplus,
    "silu": lambda x: x * x.call("sigmoid"),
    "addcmul": lambda x, y, z, value=None: x + (y * z if value is None else value * y * z),
    "lerp": lambda x, y, weight: x + weight * (y - x),
}
"""By the operator's name, as torch has it."""
