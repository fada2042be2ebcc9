"""A whole archive of data files: downloaded or found, checked, and unpacked in one step."""

from __future__ import annotations

import hashlib
import os
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data.download import download, workroom
from benchmarks.data.errors import DataChecksumWarning, DataFileError
from benchmarks.data.locate import Layout, cache_folder, named_folder


@dataclass(frozen=True)
class PublishedArchive:
    """A tar or zip archive as published. `benchmarks.data.archive` is for a few members of one, each with its checksum.

    Attributes:
        file_name: its name on a server.
        largest_transfer: its size in bytes.
        algorithm: of the checksum, the strongest that has been published of it.
        checksum: in hexadecimal digits.
        mirrors: addresses of folders that hold it.
        deadline: seconds that a mirror may take.
    """

    file_name: str
    largest_transfer: int
    algorithm: str
    checksum: str
    mirrors: tuple[str, ...]
    deadline: float = 600.0

    def verify(self, path: Path) -> None:
        """Raises DataFileError unless `path` is the published archive."""
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, self.algorithm).hexdigest()
        if found != self.checksum:
            raise DataFileError(f"its content has {self.algorithm} {found}, the published one {self.checksum}")


def unpacked(archive: PublishedArchive, name: str, named: Path | None) -> Path:
    """The folder with the content of an archive, in the cache of the data set `name`.

    It is called by the archive's checksum and put into place whole, so what lies there is the published content.

    Args:
        archive: what is wanted.
        name: of the data set.
        named: a folder with the archive; None to download it.

    Raises:
        DownloadError: no mirror gave it, or there is no place for it.
        DataFileError: it is not the published archive, or is damaged.
    """
    place = cache_folder(name) / archive.checksum[:16]
    if place.is_dir():
        return place
    with workroom(place.parent) as room:
        if named is None:
            path = download(archive, room, mirrors=archive.mirrors, deadline=archive.deadline)
        else:
            path = named / archive.file_name
            _verify_named(archive, path)
        _install(path, room / "content", place)
    return place


def _verify_named(archive: PublishedArchive, path: Path) -> None:
    try:
        archive.verify(path)
    except DataFileError as error:
        raise DataFileError.about(path, str(error)) from error


def _install(path: Path, draft: Path, place: Path) -> None:
    """Unpacks beside the place, and moves there in one step."""
    unpack(path, draft)
    try:
        os.replace(draft, place)
    except OSError:
        if not place.is_dir():  # else another process was faster
            raise


def unpack(path: Path, folder: Path) -> None:
    """Writes all that an archive holds into `folder`: files and folders beneath it, and nothing else.

    Raises:
        DataFileError: it is damaged, or would write elsewhere.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                packed.extractall(folder)  # which makes names that lead elsewhere lead beneath the folder
        else:
            with tarfile.open(path) as packed:
                packed.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataFileError.about(path, f"the archive is damaged ({error})") from error


def locate(
    layout: Layout, archive: PublishedArchive, name: str, data_dir: Path | None
) -> tuple[Mapping[str, Path], bool]:
    """The paths of a data set's files, by name, and whether they are known to be the published ones.

    They are looked for in `data_dir`; if that is None, in the folder that the environment variable ODERNN_DATA names.
    Where the archive lies there, it is checked and unpacked into the user's cache. Single files are taken as they are,
    with a DataChecksumWarning, since no checksums of them are published. No folder named, the archive is downloaded.

    Raises:
        MissingDataError: the folder that was named holds neither.
        DownloadError, DataFileError: as `unpacked`.
    """
    folder = named_folder(data_dir)
    packed = None if folder is None else _holding(folder, archive, layout.subfolders)
    found = layout.find_named(data_dir) if packed is None else None
    if found is None:
        return layout.find(unpacked(archive, name, packed)), True
    warnings.warn(
        f"no checksum tells whether the files of {layout.title} in {folder} are the published ones: the run continues "
        f"and its result says so; name a folder with {archive.file_name} to have it checked and unpacked.",
        DataChecksumWarning,
        stacklevel=2,
    )
    return found, False


def _holding(folder: Path, archive: PublishedArchive, subfolders: Sequence[str]) -> Path | None:
    """The folder beneath `folder` in which the archive lies; None where it is not there."""
    places = (folder.expanduser() / subfolder for subfolder in subfolders)
    return next((place for place in places if (place / archive.file_name).is_file()), None)
