"""The C++ of a trace: what native/kernels/traced.h includes."""

from __future__ import annotations

from .trace import Trace

_HEAD = """// Made from a field's `pointwise`; do not edit.
#pragma once

namespace odernn {

struct Traced {
"""


def emit(trace: Trace) -> str:
    """A header with the value of the slope and its transpose."""
    made = trace.slope.of
    value = made.code([("slope", trace.slope)])
    gradients = made.gradients(trace.slope, made.leaf("kappa"), [trace.y, *trace.p, *trace.u])
    needed = made.needed(gradients)
    read = ", ".join(_truth(each.index in needed) for each in trace.p)
    returns = _truth(gradients[0].number() != 0)
    places = ["by_y", *(f"by_p[{i}]" for i in range(len(trace.p))), *(f"by_u[{i}]" for i in range(len(trace.u)))]
    transpose = made.code(list(zip(places, gradients, strict=True)))
    return f"""{_HEAD}  static constexpr int64_t kPreactivations = {len(trace.p)}, kControls = {len(trace.u)};
  static constexpr bool kReads[] = {{{read}}};  // which preactivations `pull_back` reads
  static constexpr bool kReturnsToState = {returns};  // whether its by_y is not just zero

  template <class T>
  static inline Vector<T> rate(Vector<T> y, const Vector<T>* p, const Vector<T>* u) {{
    (void)y, (void)p, (void)u;
    Vector<T> slope;
{_indented(value)}
    return slope;
  }}

  template <class T>
  static inline Vector<T> pull_back(Vector<T> kappa, Vector<T> y, const Vector<T>* p, const Vector<T>* u,
                                    Vector<T>* by_p, Vector<T>* by_u) {{
    (void)y, (void)p, (void)u;
    Vector<T> by_y;
{_indented(transpose)}
    return by_y;
  }}
}};

}}  // namespace odernn
"""


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
