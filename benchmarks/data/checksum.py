"""The uncompressed content of a data file, and its checksum."""

import gzip
import hashlib
import math
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypedDict

from benchmarks.data.errors import DataChecksumWarning, DataFileError

GZIP_MAGIC = b"\x1f\x8b"


class ContentCheck(TypedDict):
    """The checksum of one file's or data set's uncompressed content, and whether it is the published one."""

    sha256: str
    verified: bool


@dataclass(frozen=True)
class IdxFile:
    """One idx file as published.

    Attributes:
        name: its name without `.gz`.
        shape: the shape of its array of unsigned bytes, the number of samples first.
        sha256: the checksum of its uncompressed content. That of the `.gz` would depend on who compressed it.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def content_size(self) -> int:
        """Bytes of the uncompressed content: magic number, one 32-bit number a dimension, the array."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    @property
    def file_name(self) -> str:
        """Its name on a server and on disk."""
        return f"{self.name}.gz"

    @property
    def largest_transfer(self) -> int:
        """No more bytes than these can come: gzip of incompressible data is longer by far less than a hundredth."""
        return self.content_size + self.content_size // 100 + 1024

    def verify(self, path: Path) -> None:
        """Raises DataFileError unless `path` holds the published content."""
        verify(read_content(path, limit=self.content_size), self.sha256)


def read_content(path: Path, *, limit: int) -> bytes:
    """The content of `path`, uncompressed if it is a gzip file (by its first two bytes, not by its name).

    Reads at most `limit` + 1 bytes of content, so a small file that unpacks to a huge one costs nothing.

    Raises:
        DataFileError: the gzip stream is truncated or corrupt, or there are more than `limit` bytes.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        content = _unpack(path, raw, limit) if packed else raw.read(limit + 1)
    if len(content) > limit:
        raise DataFileError.about(path, f"it holds more than the {limit:,} bytes that the published file has")
    return content


def _unpack(path: Path, raw: BinaryIO, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=raw) as stream:
            # Asking for one byte too many reaches the end of a sound file, which is where gzip checks its CRC.
            return stream.read(limit + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataFileError.about(path, f"its gzip stream is truncated or corrupt ({error})") from error


def check_content(content: bytes, sha256: str) -> ContentCheck:
    """The checksum of `content`, compared with the published `sha256`."""
    found = hashlib.sha256(content).hexdigest()
    return {"sha256": found, "verified": found == sha256}


def verify(content: bytes, sha256: str) -> None:
    """Raises DataFileError unless the checksum of `content` is the published `sha256`."""
    found = check_content(content, sha256)
    if not found["verified"]:
        raise DataFileError(f"its content has sha256 {found['sha256']}, the published one {sha256}")


def warn_of_mismatch(checks: Mapping[str, ContentCheck]) -> None:
    """Warns once, naming every entry of `checks` whose content is not the published one."""
    others = [name for name, check in checks.items() if not check["verified"]]
    if others:
        message = (
            f"not the published content: {', '.join(others)}. The run continues and its result says so; "
            "for comparable numbers use the published data."
        )
        warnings.warn(message, DataChecksumWarning, stacklevel=2)
