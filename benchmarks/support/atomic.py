"""Files that are either as they were or as they should be, whenever the process dies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def part_of(path: Path) -> Path:
    """Where `path` is written before it takes its name: in the same folder, so that the renaming is atomic."""
    return path.with_name(path.name + ".part")


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Replaces `path` by what `write` puts into a stream: all of it or nothing.

    A process killed inside leaves `path` as it was, and beside it a part that the next write starts anew.

    Raises:
        OSError: the folder cannot be written to.
    """
    part = part_of(path)
    with part.open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)
    _sync_folder(path.parent)


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
