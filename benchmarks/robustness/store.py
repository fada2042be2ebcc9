"""What has been measured so far, kept as it is measured: a command that was stopped goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.robustness.suite import Suite
from benchmarks.support.atomic import write_text
from benchmarks.support.errors import UserError
from odernn.zoo.schema import SchemaError, read_as

FILE = "accuracies.json"


@dataclass(frozen=True)
class Measured:
    """The accuracies of one network under one scheme.

    Attributes:
        digest: of the network.
        run: its label, for people.
        scheme: the scheme's label.
        accuracies: by perturbation and level, such as "white 0.1", of each draw, from 0 to 1.
    """

    digest: str
    run: str
    scheme: str
    accuracies: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """The content of the file.

    Attributes:
        suite: its name.
        version: of the suite.
        limit: of the test images; None where all count.
        measured: what there is.
    """

    suite: str
    version: int
    limit: int | None
    measured: list[Measured] = field(default_factory=list)


class Store:
    """A file of accuracies, written after each.

    Args:
        folder: where it lies.
        suite: what is measured.
        limit: of the test images.

    Raises:
        UserError: the file that is there cannot be read, or is of another suite or another limit.
    """

    def __init__(self, folder: Path, suite: Suite, limit: int | None) -> None:
        self.path = folder / FILE
        asked = Kept(suite.name, suite.version, limit)
        self._kept = asked if not self.path.exists() else self._read(asked)

    def get(self, digest: str, run: str, scheme: str, cell: str, measure: Callable[[], list[float]]) -> list[float]:
        """The accuracies of a cell, from the file or measured now and written into it."""
        row = self._row(digest, run, scheme)
        if cell not in row.accuracies:
            row.accuracies[cell] = measure()
            write_text(self.path, json.dumps(asdict(self._kept), indent=1, allow_nan=False) + "\n")
        return row.accuracies[cell]

    def _row(self, digest: str, run: str, scheme: str) -> Measured:
        for each in self._kept.measured:
            if (each.digest, each.scheme) == (digest, scheme):
                return each
        made = Measured(digest, run, scheme)
        self._kept.measured.append(made)
        return made

    def _read(self, asked: Kept) -> Kept:
        try:
            kept = read_as(Kept, json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, SchemaError) as error:
            raise UserError(f"{self.path} holds no accuracies of this suite: {error}. Mend or delete it") from error
        there, wanted = ((each.suite, each.version, each.limit) for each in (kept, asked))
        if there != wanted:
            raise UserError(
                f"{self.path} holds accuracies of suite, version and limit {there}, and {wanted} is asked for; name "
                "another folder by `--write`"
            )
        return kept
