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
from typing import BinaryIO

import pooch

from benchmarks.data.checksum import IdxFile, check_content, read_content
from benchmarks.data.errors import DataFileError, DownloadError

MEND = (
    "Fetch the files by hand and name their folder with `--data DIR` (the argument `data_dir`) or the environment "
    "variable ODERNN_DATA."
)


def download(
    file: IdxFile, folder: Path, *, mirrors: Sequence[str], timeout: float = 20.0, deadline: float = 600.0
) -> Path:
    """The path of `file`, gzipped, in `folder`; downloaded unless it is there and whole.

    Args:
        file: what to fetch; its checksum decides whether a mirror's answer is accepted.
        folder: where it is kept; made if need be.
        mirrors: addresses of folders that hold `file.name + ".gz"`, tried in this order.
        timeout: seconds a mirror may keep silent.
        deadline: seconds one mirror may take for the whole file, looked at whenever a kilobyte has come.

    Raises:
        ValueError: no mirrors.
        DownloadError: the folder cannot be written, or no mirror gave the published content: what each one did.
    """
    if not mirrors:
        raise ValueError("`mirrors` is empty; give at least one address of a folder that holds the files")
    target = folder / f"{file.name}.gz"
    if _is_published(file, target):
        return target
    failures = []
    with _workroom(folder) as room:
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{target.name}"
            try:
                return _install(file, url, room / target.name, target, timeout, deadline)
            except (OSError, DataFileError) as error:  # requests' errors are OSErrors
                failures.append(f"  {url}: {type(error).__name__}: {error}")
    raise DownloadError("\n".join([f"no mirror gave {target.name}:", *failures, MEND]))


def _is_published(file: IdxFile, path: Path) -> bool:
    try:
        return check_content(read_content(path, limit=file.content_size), file.sha256)["verified"]
    except (OSError, DataFileError):
        return False


@contextmanager
def _workroom(folder: Path) -> Iterator[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = tempfile.TemporaryDirectory(dir=folder, prefix="download-")
    except OSError as error:
        raise DownloadError(f"the download folder {folder} cannot be written ({error}). {MEND}") from error
    with room as name:
        yield Path(name)


def _install(file: IdxFile, url: str, draft: Path, target: Path, timeout: float, deadline: float) -> Path:
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=timeout)
    with draft.open("wb") as stream:
        # gzip of incompressible data is longer than the data by far less than a hundredth.
        guarded = _GuardedStream(stream, limit=file.content_size + file.content_size // 100 + 1024, deadline=deadline)
        fetch(url, guarded, None)
    found = check_content(read_content(draft, limit=file.content_size), file.sha256)
    if not found["verified"]:
        raise DataFileError(f"its content has sha256 {found['sha256']}, the published one {file.sha256}")
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
