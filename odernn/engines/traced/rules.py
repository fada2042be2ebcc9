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


RULES: dict[str, Callable[..., Expression]] = {
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
"""By the operator's name, as torch has it."""
