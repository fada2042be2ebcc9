"""Tables within a text that people write: replaced between two marks, the rest kept to the letter."""

from __future__ import annotations

import re
from collections.abc import Mapping

from benchmarks.support.errors import UserError

_MARKED = re.compile(r"(<!-- table of (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def embed(text: str, tables: Mapping[str, str]) -> str:
    """The text with the table of each task that is marked in it.

    Args:
        text: Markdown with `<!-- table of TASK -->` and `<!-- end of table -->`, each in a line of its own.
        tables: Markdown by task.

    Raises:
        UserError: nothing is marked, or a task that there is no table for.
    """
    marked = [task for _, task, _ in _MARKED.findall(text)]
    missing = sorted(set(marked) - set(tables))
    if not marked or missing:
        what = f"there are no results of {', '.join(missing)}" if missing else "no `<!-- table of TASK -->` is in it"
        raise UserError(f"the tables cannot be put into the text: {what}")
    return _MARKED.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", text)
