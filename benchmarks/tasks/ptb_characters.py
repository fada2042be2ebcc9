"""The Penn Treebank, character by character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from benchmarks.data.ptb import VOCABULARY, TokenSet, load_ptb, locate_ptb
from benchmarks.objectives import NextToken, Objective
from benchmarks.tasks.token_streams import TokenStreams


@final
@dataclass(kw_only=True, eq=False)
class PTBCharacters(TokenStreams):
    """The next character of newspaper text, 50 symbols, about 5.06 million for training, in bits a character.

    Read as contiguous streams, 128 for training and 10 for validation and test, 150 or 300 steps at a time, the state
    handed on. Blanks between words and ends of sentences are symbols; nothing begins afresh at a sentence.

    Without a `data_dir` its files are looked for where the environment variable ODERNN_DATA says; if that is not set,
    they are downloaded into the user's cache.

    Source: Kerg et al., Non-normal recurrent neural network (nnRNN), NeurIPS 2019, sec. 4, as its code does it.
    """

    input_size: ClassVar[int] = VOCABULARY
    objective: ClassVar[Objective] = NextToken(VOCABULARY)

    @property
    def name(self) -> str:
        return "ptb-characters"

    def prepare_data(self) -> None:
        """Downloads what is not there."""
        locate_ptb(self.data_dir)

    def texts(self) -> TokenSet:
        return load_ptb(self.data_dir)
