"""A plain text, character by character."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

from benchmarks.data.plain_text import ALPHABET, TokenSet, load_text
from benchmarks.objectives import NextToken, Objective
from benchmarks.tasks.token_streams import TokenStreams


@final
@dataclass(kw_only=True, eq=False)
class TextCharacters(TokenStreams):
    """The next character of any English text, for a look at `ptb-characters` on a small scale and without its data.

    The text is the file text.txt in `data_dir`; without one the reference of the Python language, half a million
    characters, which comes with every Python, so results on it are comparable for one version of it. The first nine
    tenths are for training, half of the rest for validation, the end for test. Symbols are the 95 of a typewriter
    and the end of a line.
    """

    input_size: ClassVar[int] = len(ALPHABET)
    objective: ClassVar[Objective] = NextToken(len(ALPHABET))

    _title: str = field(default="", init=False, repr=False)

    @property
    def name(self) -> str:
        return "text-characters"

    @property
    def own_variants(self) -> tuple[str, ...]:
        return (self._title,) if self._title else ()

    def texts(self) -> TokenSet:
        data, self._title = load_text(self.data_dir)
        return data
