"""What a command is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command: its line in the overview, and what it does with the arguments after its name.

    `main` gives the exit code. It raises UserError or argparse.ArgumentError for what the user can mend.
    """

    summary: str
    main: Callable[[Sequence[str]], int]
