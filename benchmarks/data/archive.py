"""A tar archive of data files: downloaded whole, its members checked one by one, and nothing else taken from it."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data.checksum import read_content, verify
from benchmarks.data.download import download, workroom
from benchmarks.data.errors import DataFileError


@dataclass(frozen=True)
class ArchiveMember:
    """A file in an archive.

    Attributes:
        path: its name in the archive.
        name: its name on disk.
        size: bytes.
        sha256: the checksum of its content.
    """

    path: str
    name: str
    size: int
    sha256: str

    def is_published(self, path: Path) -> bool:
        """Whether the file `path` is there and has the published content."""
        try:
            verify(read_content(path, limit=self.size), self.sha256)
        except (OSError, DataFileError):
            return False
        return True


@dataclass(frozen=True)
class Archive:
    """A gzipped tar archive as published, and the members that are wanted of it.

    Attributes:
        file_name: its name on a server.
        largest_transfer: its size in bytes.
        sha256: its checksum.
        members: what is wanted.
    """

    file_name: str
    largest_transfer: int
    sha256: str
    members: tuple[ArchiveMember, ...]

    def verify(self, path: Path) -> None:
        """Raises DataFileError unless `path` is the published archive."""
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != self.sha256:
            raise DataFileError(f"its content has sha256 {found}, the published one {self.sha256}")


def download_archive(archive: Archive, folder: Path, *, mirrors: Sequence[str]) -> Mapping[str, Path]:
    """The paths of the members in `folder`, by name; downloaded unless all are there and whole.

    Raises:
        DownloadError: as `download`.
        DataFileError: the archive lacks a member, or a member is not the published one.
    """
    paths = {member.name: folder / member.name for member in archive.members}
    if all(member.is_published(paths[member.name]) for member in archive.members):
        return paths
    with workroom(folder) as room:
        extract(archive, download(archive, room, mirrors=mirrors), room)
        for name, path in paths.items():
            os.replace(room / name, path)
    return paths


def extract(archive: Archive, path: Path, folder: Path) -> None:
    """Writes the wanted members of the archive `path` into `folder`.

    A member is found by its exact name, must be a plain file of the published size, and is written under a name of
    ours: what else an archive may hold (other paths, links, devices) is never touched.

    Raises:
        DataFileError: the archive is damaged or lacks a member, or a member is not the published one.
    """
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in archive.members:
                (folder / member.name).write_bytes(_content(tar, member, path))
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataFileError.about(path, f"the archive is damaged ({error})") from error


def _content(tar: tarfile.TarFile, member: ArchiveMember, path: Path) -> bytes:
    try:
        found = tar.getmember(member.path)
    except KeyError as error:
        raise DataFileError.about(path, f"the archive lacks {member.path}") from error
    stream = tar.extractfile(found) if found.isreg() and found.size == member.size else None
    if stream is None:
        raise DataFileError.about(path, f"{member.path} in it is not a file of {member.size:,} bytes")
    content = stream.read()
    verify(content, member.sha256)
    return content
