"""The folder of a run: what lies in it, who may write to it, and whether it belongs to the run that is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.report import result
from benchmarks.run.lease import Lease, acquire, claim
from benchmarks.settings.parser import read_yaml
from benchmarks.settings.types import Settings, differences
from benchmarks.support.atomic import parts_of, write_text
from benchmarks.support.errors import UserError

MEND = "name another folder with `--out`, or start again with `--overwrite`"


class RunFolder:
    """The paths of a run: its settings, the log, the checkpoint to continue from, the result."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.csv"
        self.checkpoint = path / "last.ckpt"
        self.result = path / result.FILE

    @contextlib.contextmanager
    def owned(self, takeover: float, succeeds: int | None = None) -> Iterator[Lease]:
        """Makes the folder, and keeps every other process out of it, on this machine and on others.

        Args:
            takeover: seconds without a sign of life after which others may take it over from this process.
            succeeds: the number of the owner that is known to be dead; None finds out.

        Raises:
            UserError: it cannot be made or written to, or another process is at work in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lease = acquire(self.path, takeover) if succeeds is None else claim(self.path, succeeds, takeover)
        except OSError as error:
            raise self.unwritable(error) from error
        with lease.kept():
            yield lease

    def check(self, settings: Settings) -> None:
        """Raises UserError if the folder holds a run with other settings; the message names each that differs."""
        if not self.config.exists():
            if self.checkpoint.exists() or self.result.exists():
                raise UserError(f"{self.path} holds a run without its {self.config.name}; {MEND}")
            return
        found = differences(read_yaml(self.config), settings.plain())
        if found:
            raise UserError("\n  ".join([f"{self.path} holds a run with other settings; {MEND}:", *found]))

    def claim(self, settings: Settings) -> None:
        """Writes the settings, if this is the first time.

        Raises:
            UserError: the folder holds a run with other settings, or cannot be written to.
        """
        self.check(settings)
        if self.config.exists():
            return
        try:
            write_text(self.config, yaml.safe_dump(settings.plain(), sort_keys=False))
        except OSError as error:
            raise self.unwritable(error) from error

    def unwritable(self, error: OSError) -> UserError:
        """The error for a folder that cannot be written to."""
        return UserError(
            f"the output folder {self.path} cannot be written to: {error}; choose another with `--out`, or make room: "
            "the same command continues from the last finished epoch"
        )

    def clear(self) -> None:
        """Removes what a run writes, and nothing else."""
        self.clear_parts()
        # The result goes first: without it no half-cleared folder looks finished. The settings go last.
        for path in (self.result, self.checkpoint, self.metrics, self.config):
            path.unlink(missing_ok=True)

    def clear_parts(self) -> None:
        """Removes what processes that were killed while they wrote have left; for the owner only."""
        for path in (self.result, self.checkpoint, self.metrics, self.config):
            for part in parts_of(path):
                part.unlink(missing_ok=True)
