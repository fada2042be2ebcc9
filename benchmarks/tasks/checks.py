"""Checks of the tasks' arguments, one fact each."""

from pathlib import Path

from benchmarks.data import MissingDataError

LARGEST_SEED = 2**32 - 1  # torch's generator on the CPU takes no more than 32 bits of its seed


def checked_count(name: str, value: int, *, least: int = 1, most: int | None = None) -> int:
    """`value` if it is a whole number from `least` to `most`.

    Raises:
        TypeError: it is no int (a bool is none either).
        ValueError: it is out of range.
    """
    span = f"of at least {least}" if most is None else f"from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give a whole number {span}")
    if value < least or (most is not None and value > most):
        raise ValueError(f"`{name}` is {value}; give a whole number {span}")
    return value


def checked_seed(name: str, value: int) -> int:
    """`value` if it is a seed: a whole number from 0 to 2^32 - 1. Errors as `checked_count`."""
    return checked_count(name, value, least=0, most=LARGEST_SEED)


def checked_folder(name: str, value: Path | None) -> Path | None:
    """`value` if it is None or an existing folder.

    Raises:
        TypeError: it is no `pathlib.Path`.
        MissingDataError: there is no such folder.
    """
    if value is None:
        return None
    if not isinstance(value, Path):
        raise TypeError(f"`{name}` is {value!r} of type {type(value).__name__}; give a pathlib.Path or None")
    if not value.expanduser().is_dir():
        raise MissingDataError(f"`{name}` is {value}, which is no folder; give one that exists, or None to download")
    return value
