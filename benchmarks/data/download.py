"""Download of one data file: mirrors in turn, checked whole, then moved into place in one step.

The file is written in a temporary folder beside its place, unpacked and compared with the published checksum there, and
only then moved with `os.replace`. So whatever a mirror or a killed process does, what lies in the cache is either
absent or whole, and processes that download at the same time at worst do so twice.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import pooch

from benchmarks.data.errors import DataFileError, DownloadError

MEND = (
    "Fetch the files by hand and name their folder with `--data DIR` (the argument `data_dir`) or the environment "
    "variable ODERNN_DATA."
)


class Downloadable(Protocol):
    """A published file: its name on a server and on disk, its size at most, and how its content is told."""

    @property
    def file_name(self) -> str: ...

    @property
    def largest_transfer(self) -> int: ...

    def verify(self, path: Path) -> None:
        """Raises DataFileError unless `path` holds the published content."""


def download(
    file: Downloadable, folder: Path, *, mirrors: Sequence[str], timeout: float = 20.0, deadline: float = 600.0
) -> Path:
    """The path of `file` in `folder`; downloaded unless it is there and whole.

    Args:
        file: what to fetch; its checksum decides whether a mirror's answer is accepted.
        folder: where it is kept; made if need be.
        mirrors: addresses of folders that hold `file.file_name`, tried in this order.
        timeout: seconds a mirror may keep silent.
        deadline: seconds one mirror may take for the whole file, looked at whenever a kilobyte has come.

    Raises:
        ValueError: no mirrors.
        DownloadError: the folder cannot be written, or no mirror gave the published content: what each one did.
    """
    if not mirrors:
        raise ValueError("`mirrors` is empty; give at least one address of a folder that holds the files")
    target = folder / file.file_name
    if _is_published(file, target):
        return target
    failures = []
    with workroom(folder) as room:
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{target.name}"
            try:
                return _install(file, url, room / target.name, target, timeout, deadline)
            except (OSError, DataFileError) as error:  # requests' errors are OSErrors
                failures.append(f"  {url}: {type(error).__name__}: {error}")
    raise DownloadError("\n".join([f"no mirror gave {target.name}:", *failures, MEND]))


def _is_published(file: Downloadable, path: Path) -> bool:
    try:
        file.verify(path)
    except (OSError, DataFileError):
        return False
    return True


@contextmanager
def workroom(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`, which is made if need be: moving a file from one to the other is atomic.

    Raises:
        DownloadError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = tempfile.TemporaryDirectory(dir=folder, prefix="download-")
    except OSError as error:
        raise DownloadError(f"the download folder {folder} cannot be written ({error}). {MEND}") from error
    with room as name:
        yield Path(name)


def _install(file: Downloadable, url: str, draft: Path, target: Path, timeout: float, deadline: float) -> Path:
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=timeout)
    with draft.open("wb") as stream:
        guarded = _GuardedStream(stream, limit=file.largest_transfer, deadline=deadline)
        fetch(url, guarded, None)
    file.verify(draft)
    os.replace(draft, target)
    return target


class _GuardedStream:
    """A file to write to that refuses more than `limit` bytes, and any byte later than `deadline` seconds from now."""

    def __init__(self, stream: BinaryIO, *, limit: int, deadline: float) -> None:
        self.stream = stream
        self.room = limit
        self.seconds = deadline
        self.end = time.monotonic() + deadline

    def write(self, chunk: bytes) -> int:
        self.room -= len(chunk)
        if self.room < 0:
            raise DataFileError("it sends more bytes than the file can have")
        if time.monotonic() > self.end:
            raise TimeoutError(f"the file was not whole after {self.seconds:g} seconds")
        return self.stream.write(chunk)

    def flush(self) -> None:
        self.stream.flush()
