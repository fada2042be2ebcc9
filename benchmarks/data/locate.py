"""Where data files are: in a folder that is named, or in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

from benchmarks.data.errors import MissingDataError

ENVIRONMENT_VARIABLE = "ODERNN_DATA"


@dataclass(frozen=True)
class Layout:
    """The files of a data set, and where they may lie beneath a data folder.

    Attributes:
        title: the data set's name.
        names: of its files.
        subfolders: looked at in this order, "" for the data folder itself; all files are taken from the first that
            has all.
        suffixes: a file may have any of these after its name.
    """

    title: str
    names: tuple[str, ...]
    subfolders: tuple[str, ...]
    suffixes: tuple[str, ...] = ("",)

    def find(self, data_dir: Path, *, named_by: str = "`data_dir`") -> Mapping[str, Path]:
        """The paths of the files beneath `data_dir`, by name.

        Raises:
            MissingDataError: they are not there; names what is wanted, the folders looked at and what each lacks.
        """
        folders = [data_dir.expanduser() / subfolder for subfolder in self.subfolders]
        missing = []
        for folder in folders:
            found = self._present(folder)
            if len(found) == len(self.names):
                return found
            missing.append(f"  {folder} {self._lack(folder, set(found))}")
        kinds = " or ".join(f"with {suffix}" if suffix else "without" for suffix in self.suffixes)
        forms = f", each {kinds} after its name" if len(self.suffixes) > 1 else ""
        raise MissingDataError(
            f"{self.title} is not in the folder that {named_by} names. Wanted: {', '.join(self.names)}{forms}. "
            "Looked at:\n" + "\n".join(missing) + "\nPut the files into one of these folders, name another with "
            "`--data DIR`, or name none to have them downloaded."
        )

    def find_named(self, data_dir: Path | None) -> Mapping[str, Path] | None:
        """The paths in `data_dir`, or in the folder that ODERNN_DATA names; None where neither names one.

        Raises:
            MissingDataError: the folder that was named does not hold them.
        """
        if data_dir is not None:
            return self.find(data_dir)
        if named := os.environ.get(ENVIRONMENT_VARIABLE):
            return self.find(Path(named), named_by=f"the environment variable {ENVIRONMENT_VARIABLE}")
        return None

    def _present(self, folder: Path) -> dict[str, Path]:
        paths = {name: [folder / f"{name}{suffix}" for suffix in self.suffixes] for name in self.names}
        return {name: path for name, forms in paths.items() if (path := _first_file(forms)) is not None}

    def _lack(self, folder: Path, found: set[str]) -> str:
        if not folder.is_dir():
            return "is not a folder"
        return f"lacks {', '.join(name for name in self.names if name not in found)}"


def named_folder(data_dir: Path | None) -> Path | None:
    """`data_dir`, or the folder that the environment variable ODERNN_DATA names; None where neither names one."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return data_dir if data_dir is not None or not named else Path(named)


def cache_folder(name: str) -> Path:
    """The folder of a data set in the user's cache."""
    return Path(pooch.os_cache("odernn")) / name


def _first_file(paths: list[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)
