"""What can be wrong with data files, each a class of its own so that a caller can tell them apart."""

from pathlib import Path
from typing import Self


class DataFileError(ValueError):
    """A data file that is there and cannot be used: truncated, corrupt, or of another format."""

    @classmethod
    def about(cls, path: Path, problem: str) -> Self:
        """The error for `path`, with what is wrong with it and how to mend it."""
        mend = "Delete it and fetch it again, or name another folder with `--data DIR` (the argument `data_dir`)."
        return cls(f"{path}: {problem}. {mend}")


class MissingDataError(FileNotFoundError):
    """Data files that are not where they were said to be."""


class DownloadError(OSError):
    """A download that no mirror could satisfy, or that has nowhere to go."""


class DataChecksumWarning(UserWarning):
    """Data that can be read and are not the published ones: results made from them are not comparable."""
