"""The Penn Treebank as characters, in the preparation that language models are compared on.

Three text files, one sentence a line, its characters with blanks between them; "_" stands for the blank between words.

Source: M. Marcus, B. Santorini & M. Marcinkiewicz, Building a Large Annotated Corpus of English: The Penn Treebank,
Computational Linguistics 19(2), 1993; the preparation is that of T. Mikolov et al., Subword Language Modeling with
Neural Networks, 2012, in the archive of his RNNLM toolkit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.checksum import ContentCheck, check_content
from benchmarks.data.errors import DataFileError
from benchmarks.data.locate import Layout
from benchmarks.data.tokens import numbered, read_utf8
from benchmarks.data.unpacked import PublishedArchive, locate

VOCABULARY = 50  # 48 characters, the blank and the end of a sentence
END = "<eos>"
NAME = "ptb"
TRAIN, VALID, TEST = FILES = ("ptb.char.train.txt", "ptb.char.valid.txt", "ptb.char.test.txt")

ARCHIVE = PublishedArchive(
    "simple-examples.tgz",
    34_869_662,
    "md5",  # no stronger sum of it has been published
    "30177ea32e27c525793142b6bf2c8e2d",
    ("https://www.fit.vut.cz/person/imikolov/public/rnnlm/", "http://www.fit.vutbr.cz/~imikolov/rnnlm/"),
)
LAYOUT = Layout("Penn Treebank", FILES, ("", NAME, "data", "simple-examples/data", f"{NAME}/simple-examples/data"))


@dataclass(frozen=True, eq=False)
class TokenSet:
    """Three texts as tokens, the symbols that these number, and the checksum of each file."""

    train: Int64[Tensor, "count"]
    val: Int64[Tensor, "count"]
    test: Int64[Tensor, "count"]
    alphabet: tuple[str, ...]
    checksum: dict[str, ContentCheck]


def locate_ptb(data_dir: Path | None) -> tuple[Mapping[str, Path], bool]:
    """As `benchmarks.data.unpacked.locate`."""
    return locate(LAYOUT, ARCHIVE, NAME, data_dir)


def load_ptb(data_dir: Path | None) -> TokenSet:
    """The three texts. The alphabet is that of the training text, sorted.

    Raises:
        MissingDataError, DownloadError: as `locate_ptb`.
        DataFileError: a file is not text, the training text has more than 50 symbols, or another one has a symbol that
            it does not have.
    """
    paths, verified = locate_ptb(data_dir)
    symbols = {name: symbols_of(read_utf8(paths[name])) for name in FILES}
    alphabet = tuple(sorted(set(symbols[TRAIN])))
    if len(alphabet) > VOCABULARY:
        raise DataFileError.about(
            paths[TRAIN], f"it has {len(alphabet)} symbols, at most {VOCABULARY} were wanted, with blanks between them"
        )
    checks: dict[str, ContentCheck] = {
        name: {"sha256": check_content(paths[name].read_bytes(), "")["sha256"], "verified": verified} for name in FILES
    }
    train, val, test = (numbered(symbols[name], alphabet, paths[name]) for name in FILES)
    return TokenSet(train, val, test, alphabet, checks)


def symbols_of(text: str) -> list[str]:
    """What stands between blanks, and the end of each line."""
    return [symbol for line in text.splitlines() for symbol in (*line.split(), END)]
