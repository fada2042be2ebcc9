"""What the commands have in common of reading their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from benchmarks.support.errors import UserError, nearest


def device_named(name: str) -> torch.device:
    """The device of `--device`.

    Raises:
        UserError: there is none here.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("`--device` is cuda and torch finds none here; leave it out to measure on the CPU")
    return torch.device(name)


def make_folder(folder: Path) -> None:
    """Makes the folder that results go to.

    Raises:
        UserError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError) -> UserError:
    """The error for a folder that cannot be written to."""
    return UserError(f"the output cannot be written to {folder}: {error}; choose another folder")


def chosen(option: str, asked: Sequence[str], there: Collection[str]) -> list[str]:
    """The names that an option asks for.

    Raises:
        UserError: one of them is not among those that are there.
    """
    unknown = [name for name in asked if name not in there]
    if unknown:
        near = nearest(unknown[0], there)
        raise UserError(f"`{option}` names {unknown[0]!r}{near}; choose from {', '.join(there)}")
    return list(asked)


def names(text: str) -> list[str]:
    """Names with commas between them."""
    return [name for name in text.split(",") if name]


def counts(text: str) -> list[int]:
    """Whole numbers from 1 with commas between them."""
    return [count(part) for part in text.split(",")]


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a whole number from 1")
    return value
