"""The folder of a run: what lies in it, who may write to it, and whether it belongs to the run that is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from benchmarks.report import result
from benchmarks.settings.parser import read_yaml
from benchmarks.settings.types import Settings, differences
from benchmarks.support.atomic import part_of, write_text
from benchmarks.support.errors import UserError

MEND = "name another folder with `--out`, or begin anew with `--overwrite`"


class RunFolder:
    """The paths of a run: its settings, the log, the checkpoint to go on from, the result."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.csv"
        self.checkpoint = path / "last.ckpt"
        self.result = path / result.FILE
        self._lock = path / ".lock"

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Makes the folder, and keeps every other process out of it.

        The system gives the lock back when the process ends, however it ends.

        Raises:
            UserError: it cannot be made or written to, or another process is at work in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock, timeout=0)
            lock.acquire()
        except Timeout as error:
            raise UserError(f"another process is at work in {self.path}; wait for it or end it") from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

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
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"the output folder {self.path} cannot be written to: {error}; choose another with `--out`")

    def clear(self) -> None:
        """Removes what a run writes, and nothing else."""
        # The result goes first: without it no half-cleared folder looks finished. The settings go last.
        for path in (self.result, self.checkpoint, self.metrics, self.config):
            path.unlink(missing_ok=True)
            part_of(path).unlink(missing_ok=True)
