"""The trace of a field, made at its first use and kept with it as long as the field is what it was made of."""

from __future__ import annotations

from typing import final

from ...fields.field import TRACED, AffinePointwiseField
from ...fields.overrides import why_called
from .facts import facts_of, same_facts, sizes_of
from .trace import Trace, UntraceableError
from .tracing import trace


@final
class _Kept:
    """A trace, or why there is none, and what the field was."""

    __slots__ = ("facts", "found")

    def __init__(self, found: Trace | str, facts: list[object]) -> None:
        self.found = found
        self.facts = facts


def trace_of(field: AffinePointwiseField) -> Trace | str:
    """The elementwise part of a field that keeps the promises of `pointwise`, or why it cannot be read."""
    if any(why_called(each) is not None for each in field.modules()):
        return f"something is hooked into {type(field).__name__}"
    facts = facts_of(field)
    kept = vars(field).get(TRACED)
    if not isinstance(kept, _Kept) or not same_facts(facts, kept.facts):
        kept = _Kept(_traced(field), facts)
        vars(field)[TRACED] = kept
    return kept.found


def _traced(field: AffinePointwiseField) -> Trace | str:
    preactivations, controls, like = sizes_of(field)
    n = field.hidden_size
    if preactivations % n or controls % n:
        return "its control or its preactivation is not a multiple of the state"
    try:
        return trace(field, preactivations // n, controls // n, like)
    except UntraceableError as error:
        return error.reason
