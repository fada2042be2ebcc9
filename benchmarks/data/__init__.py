"""Data files: found, downloaded, checked and read. No task and no model is known here."""

from benchmarks.data.errors import DataChecksumWarning, DataFileError, DownloadError, MissingDataError

__all__ = ["DataChecksumWarning", "DataFileError", "DownloadError", "MissingDataError"]
