"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[str]) -> str:
    """A table whose columns named in `left` are set to the left, the others to the right."""
    rules = [":--" if name in left else "--:" for name in head]
    return "\n".join("| " + " | ".join(map(_escape, line)) + " |" for line in (head, rules, *rows))


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
