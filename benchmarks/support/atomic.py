"""Files that are either as they were or as they should be, whenever the process dies."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class WriteError(OSError):
    """A file could not be written: no space, no permission, no folder. What was there before is still there."""


def parts_of(path: Path) -> list[Path]:
    """What processes that were killed while they wrote `path` have left beside it."""
    return list(path.parent.glob(f"{path.name}.*.part"))


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Replaces `path` by what `write` puts into a stream: all of it or nothing.

    It is written under another name in the same folder, so that the renaming is atomic; the name is unlike any other
    process's. A process killed inside leaves `path` as it was, and such a part beside it.

    Raises:
        WriteError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise WriteError(error.errno, error.strerror, str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by `text` in UTF-8: all of it or nothing."""
    write_atomically(path, lambda stream: _write_all(stream, text.encode()))


def _write_all(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)


def _sync_folder(folder: Path) -> None:
    # Without it the new name can be lost with the power. Windows cannot open a folder, and needs it less.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
