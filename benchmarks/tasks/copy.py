"""The copying memory problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from benchmarks.objectives import Classification, Objective
from benchmarks.tasks.arguments import count
from benchmarks.tasks.synthetic import SyntheticTask

SYMBOLS = 8
BLANK = SYMBOLS
MARKER = SYMBOLS + 1


@final
@dataclass(kw_only=True, eq=False)
class Copy(SyntheticTask):
    """Symbols to be recalled after a delay.

    A sequence is `recall` symbols of eight, drawn with equal chance; `delay` - 1 blanks; a marker that says "now"; and
    as many blanks as there were symbols, at which the symbols are to be given in their order. Input is one-hot over
    eight symbols, blank and marker; only the steps of the recall count. Without memory no more than a loss of
    log 8 = 2.079 and an accuracy of 12.5 % can be had.

    Source: Hochreiter & Schmidhuber 1997, in the form of Arjovsky, Shah & Bengio, Unitary evolution recurrent neural
    networks, ICML 2016, sec. 4.1, whose loss is over all steps, blanks being wanted at the others.

    Args:
        recall: symbols to be recalled.
        delay: steps from the last symbol to the marker.
    """

    recall: int = count(10)
    delay: int = count(100)

    input_size: ClassVar[int] = SYMBOLS + 2
    objective: ClassVar[Objective] = Classification(SYMBOLS, "trajectory")

    @property
    def name(self) -> str:
        return "copy"

    @property
    def length(self) -> int:
        return self.delay + 2 * self.recall

    @property
    def mask(self) -> Bool[Tensor, "time"]:
        """True at the steps of the recall."""
        return torch.arange(self.length) >= self.length - self.recall

    def draw(self, numbers: np.random.Generator) -> tuple[Float[Tensor, "time 10"], Int64[Tensor, "time"]]:
        symbols = torch.from_numpy(numbers.integers(SYMBOLS, size=self.recall))
        tokens = torch.full((self.length,), BLANK)
        tokens[: self.recall] = symbols
        tokens[-self.recall - 1] = MARKER
        target = torch.zeros(self.length, dtype=torch.int64)
        target[-self.recall :] = symbols
        return F.one_hot(tokens, SYMBOLS + 2).to(torch.float32), target
