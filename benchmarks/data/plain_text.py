"""A plain text: one file of the user's, or the reference of the Python language, which comes with every Python."""

from __future__ import annotations

import platform
from pathlib import Path
from pydoc_data import topics

from benchmarks.data.checksum import check_content
from benchmarks.data.errors import MissingDataError
from benchmarks.data.locate import Layout, named_folder
from benchmarks.data.ptb import TokenSet
from benchmarks.data.tokens import numbered, read_utf8

# What is on a typewriter, and the end of a line.
ALPHABET = ("\n", *map(chr, range(32, 127)))
FILE = "text.txt"
LAYOUT = Layout("A plain text", (FILE,), ("", "text"))
SHARES = (0.9, 0.05)
"""Of the text, from its beginning: for training, and then for validation; the rest is for test."""

PLAIN = {
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{DEGREE SIGN}": " degrees",
    "\N{LATIN SMALL LETTER SHARP S}": "ss",
}
"""How the reference's few symbols that are on no typewriter are written on one; any other is a question mark."""


def load_text(data_dir: Path | None) -> tuple[TokenSet, str]:
    """The text in three parts, and what it is called: its file's name, or the reference with Python's version.

    It is the file text.txt in `data_dir` or in the folder that the environment variable ODERNN_DATA names; if neither
    names a folder that has one, the reference.

    Raises:
        MissingDataError: `data_dir` does not hold it.
        DataFileError: it is not text, or has symbols that are on no typewriter.
    """
    path = _find(data_dir)
    title = f"Python {platform.python_version()}'s reference" if path is None else path.name
    text = reference() if path is None else read_utf8(path)
    tokens = numbered(text, ALPHABET, Path(title) if path is None else path)
    first, second = (round(share * len(tokens)) for share in (SHARES[0], sum(SHARES)))
    check = check_content(text.encode(), "")
    return TokenSet(tokens[:first], tokens[first:second], tokens[second:], ALPHABET, {title: check}), title


def reference() -> str:
    """The topics that Python's `help` knows, in the order of their names."""
    texts = topics.topics
    text = "\n".join(texts[name] for name in sorted(texts)).translate(str.maketrans(PLAIN))
    return text.encode("ascii", "replace").decode("ascii")


def _find(data_dir: Path | None) -> Path | None:
    if data_dir is not None:
        return LAYOUT.find(data_dir)[FILE]
    folder = named_folder(None)
    try:
        return None if folder is None else LAYOUT.find(folder)[FILE]
    except MissingDataError:  # the variable names the folder of other data
        return None
