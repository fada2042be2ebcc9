"""Texts as tokens: a number for each symbol of an alphabet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.errors import DataFileError

SHOWN = 5


def numbered(symbols: Sequence[str], alphabet: Sequence[str], path: Path) -> Int64[Tensor, "count"]:
    """The place of each symbol in the alphabet.

    Args:
        symbols: of a text.
        alphabet: what may stand in it.
        path: where it is from.

    Raises:
        DataFileError: other symbols; the message shows some of them, and where the first one stands.
    """
    places = {symbol: place for place, symbol in enumerate(alphabet)}
    if strangers := sorted(set(symbols) - places.keys()):
        where = next(place for place, symbol in enumerate(symbols) if symbol not in places) + 1
        shown = ", ".join(map(repr, strangers[:SHOWN]))
        shown += f" and {len(strangers) - SHOWN} more" if len(strangers) > SHOWN else ""
        what = f"it has symbols outside of its alphabet of {len(alphabet)}, {shown}"
        raise DataFileError.about(path, f"{what}; the first one is symbol {where:,}")
    return torch.tensor([places[symbol] for symbol in symbols], dtype=torch.int64)


def read_utf8(path: Path) -> str:
    """The text of a file, all kinds of line ends being one.

    Raises:
        DataFileError: it is not UTF-8, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataFileError.about(path, f"it is not text in UTF-8: {error}") from error
    if not text.strip():
        raise DataFileError.about(path, "it holds no text")
    return text
