"""Texts read as streams: long sequences side by side, chunk by chunk, each chunk continuing the one before."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor

from benchmarks.data.ptb import TokenSet
from benchmarks.objectives import Batch
from benchmarks.tasks.arguments import count, folder
from benchmarks.tasks.samples import Samples, Splits
from benchmarks.tasks.task import Task


@final
class TokenChunks(Samples):
    """A text cut into streams of equal length, and these into chunks.

    Row r is chunk r // streams of stream r % streams, so that batches of as many rows as there are streams come in the
    order of the text. A step's input is a token, one-hot, and its target the next token. The last chunk is filled up,
    and the mask says so. Fewer tokens than there are streams are left over at the end of the text.

    Args:
        tokens: of the text.
        streams: how many.
        length: steps of a chunk.
        vocabulary: how many tokens there are.

    Raises:
        ValueError: the text has not two tokens a stream.
    """

    def __init__(self, tokens: Int64[Tensor, "count"], streams: int, length: int, vocabulary: int) -> None:
        self.streams = streams
        self.length = length
        self.vocabulary = vocabulary
        self.steps = (len(tokens) - 1) // streams
        if self.steps < 1:
            raise ValueError(
                f"a text of {len(tokens):,} symbols makes no {streams} streams; give a longer one, or a smaller "
                "`batch_size` and `eval_batch_size`"
            )
        self.tokens = tokens

    def __len__(self) -> int:
        return self.streams * -(-self.steps // self.length)

    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        chunk, stream = rows // self.streams, rows % self.streams
        step = chunk.unsqueeze(1) * self.length + torch.arange(self.length)
        mask = step < self.steps
        place = stream.unsqueeze(1) * self.steps + step.clamp_max(self.steps - 1)
        x = F.one_hot(self.tokens[place], self.vocabulary).to(torch.float32)
        return Batch(x, self.tokens[place + 1], None if bool(mask.all()) else mask)


@dataclass(kw_only=True, eq=False)
class TokenStreams(Task):
    """The next symbol of a text, read as streams. Abstract.

    Of each part `batch_size` or `eval_batch_size` streams are read side by side, `sequence_length` steps at a time. The
    state is handed on from one such chunk to the next, and gradients stop there. An epoch begins with the zero state.

    Args:
        data_dir: folder with the text. None: as the data set says.
        sequence_length: steps of a chunk, which are those of truncated backpropagation.
        eval_batch_size: streams of validation and of test.
    """

    data_dir: Path | None = folder()
    sequence_length: int = count(150)
    eval_batch_size: int = count(10)

    _alphabet: tuple[str, ...] = field(default=(), init=False, repr=False)

    carries_state: ClassVar[bool] = True

    @property
    def length(self) -> int:
        return self.sequence_length

    def spell(self, tokens: Int64[Tensor, "batch time"]) -> list[list[str]]:
        return [[self._alphabet[token] for token in row] for row in tokens.tolist()]

    @abc.abstractmethod
    def texts(self) -> TokenSet:
        """The three texts."""

    def read(self) -> Splits:
        """The three parts.

        Raises:
            as the data set's loader; ValueError: a text is too short for the streams.
        """
        data = self.texts()
        self._alphabet = data.alphabet
        train, val, test = (
            TokenChunks(tokens, streams, self.sequence_length, self.input_size)
            for tokens, streams in (
                (data.train, self.batch_size),
                (data.val, self.eval_batch_size),
                (data.test, self.eval_batch_size),
            )
        )
        return Splits(train, val, test, data.checksum)
