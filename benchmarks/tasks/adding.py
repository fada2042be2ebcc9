"""The adding problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.objectives import Objective, Regression
from benchmarks.tasks.arguments import count
from benchmarks.tasks.synthetic import SyntheticTask


@final
@dataclass(kw_only=True, eq=False)
class Adding(SyntheticTask):
    """The sum of two numbers among many, read at the end.

    The first input is uniform on [0, 1); the second is 1 at two steps, one in each half of the sequence, and else 0.
    The target is the sum of the first input at these two steps. Answering always 1, the mean, has a mean squared error
    of 1/6 = 0.167.

    Source: Hochreiter & Schmidhuber, Long short-term memory, Neural Computation 9(8), 1997, experiment 4, in the form
    of Arjovsky, Shah & Bengio, Unitary evolution recurrent neural networks, ICML 2016, sec. 4.2.

    Args:
        sequence_length: T.
    """

    sequence_length: int = count(1000, least=2, most=1_000_000)

    input_size: ClassVar[int] = 2
    objective: ClassVar[Objective] = Regression(1)

    @property
    def name(self) -> str:
        return "adding"

    @property
    def length(self) -> int:
        return self.sequence_length

    def draw(self, numbers: np.random.Generator) -> tuple[Float[Tensor, "time 2"], Float[Tensor, "1"]]:
        half = self.length // 2
        values = numbers.random(self.length, dtype=np.float32)
        marks = np.zeros_like(values)
        marks[[numbers.integers(half), numbers.integers(half, self.length)]] = 1
        x = torch.from_numpy(np.stack([values, marks], axis=1))
        return x, (x[:, 0] * x[:, 1]).sum(0, keepdim=True)
