"""The arguments of tasks: dataclass fields that carry their own check, one kind of value each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, field, fields
from pathlib import Path
from typing import Any, cast

from benchmarks.data import MissingDataError

LARGEST_SEED = 2**32 - 1  # torch's generator on the CPU takes no more than 32 bits of its seed
CHECK = "check"

Check = Callable[[str, Any], None]


def count(default: int, *, least: int = 1, most: int | None = None) -> int:
    """A field for a whole number from `least` to `most`."""
    return checked_field(default, lambda name, value: check_count(name, value, least=least, most=most))


def seed(default: int = 0) -> int:
    """A field for a seed: a whole number from 0 to 2^32 - 1."""
    return checked_field(default, check_seed)


def optional_seed() -> int | None:
    """A field for a seed or None, which is its default."""

    def check(name: str, value: Any) -> None:
        if value is not None:
            check_seed(name, value)

    return checked_field(None, check)


def optional_count() -> int | None:
    """A field for a whole number of at least 1, or None, which is its default."""

    def check(name: str, value: Any) -> None:
        if value is not None:
            check_count(name, value)

    return checked_field(None, check)


def flag() -> bool:
    """A field for a choice, which is not taken by default."""
    return checked_field(False, check_flag)


def folder() -> Path | None:
    """A field for a folder that exists, or None, which is its default."""
    return checked_field(None, check_folder)


def checked_field(default: Any, check: Check) -> Any:
    """A field with its check, which `check_arguments` runs."""
    return field(default=default, metadata={CHECK: check})


def check_arguments(task: Any) -> None:
    """Runs the check of every field of a dataclass.

    Raises:
        TypeError, ValueError, MissingDataError: an argument is not what its field takes; the message names it.
    """
    for each in cast(tuple[Field[Any], ...], fields(task)):
        if CHECK in each.metadata:
            each.metadata[CHECK](each.name, getattr(task, each.name))


def check_count(name: str, value: Any, *, least: int = 1, most: int | None = None) -> None:
    """Checks a whole number.

    Raises:
        TypeError: it is not an int (a bool is not one either).
        ValueError: it is out of range.
    """
    span = f"of at least {least}" if most is None else f"from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give a whole number {span}")
    if value < least or (most is not None and value > most):
        raise ValueError(f"`{name}` is {value}; give a whole number {span}")


def check_seed(name: str, value: Any) -> None:
    """Checks a seed. Errors as `check_count`."""
    check_count(name, value, least=0, most=LARGEST_SEED)


def check_flag(name: str, value: Any) -> None:
    """Raises TypeError unless it is true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give True or False")


def check_folder(name: str, value: Any) -> None:
    """Checks a folder, or None.

    Raises:
        TypeError: it is not a `pathlib.Path`.
        MissingDataError: there is no such folder.
    """
    if value is None:
        return
    if not isinstance(value, Path):
        raise TypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give a pathlib.Path or None")
    if not value.expanduser().is_dir():
        raise MissingDataError(
            f"`{name}` (on the command line `--data`) is {value}, which is not a folder; give one that exists, or "
            "leave it out to download the files"
        )
