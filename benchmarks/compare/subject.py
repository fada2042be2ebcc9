"""The network that is compared, and the data that it is compared on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.models.baselines import Baseline
from benchmarks.models.means import RunningMeans
from benchmarks.objectives import Batch, Objective
from benchmarks.report.result import RunResult, read_result
from benchmarks.run.restore import BEST, RestoredRun, read_ended
from benchmarks.settings.types import ODESettings
from benchmarks.support.errors import UserError
from benchmarks.tasks.samples import Part
from odernn import ODERNN, ODERecurrence, SequenceNetwork

BATCH = 250
"""Sequences that are scored at once."""


@dataclass(frozen=True)
class Subject:
    """A trained network with the samples that it is compared on.

    Attributes:
        run: where it is from.
        result: what the run came to.
        recurrence: its recurrent part, of one layer, with the weights of the best epoch.
        encoder: what makes the recurrent part's input of a sample.
        readout: its head.
        part: of the data.
        samples: how many of it.
        x: what the recurrent part reads of the first few samples (batch, time, input), in the network's dtype.
    """

    run: RestoredRun
    result: RunResult
    recurrence: ODERecurrence
    encoder: nn.Module
    readout: nn.Module
    part: Part
    samples: int
    x: Float[Tensor, "batch time input"]

    @property
    def rnn(self) -> ODERNN:
        """The recurrent layer of the network."""
        return self.recurrence.rnn

    @property
    def objective(self) -> Objective:
        """The objective of the task."""
        return self.run.task.objective

    @property
    def own(self) -> tuple[str, int]:
        """The solver and the substeps that the network was trained by."""
        model = self.run.settings.model
        assert isinstance(model, ODESettings)
        return model.solver, model.substeps

    def double(self) -> ODERNN:
        """A copy of the layer in float64, without gradients to its parameters."""
        return copy.deepcopy(self.rnn).double().requires_grad_(False)

    def batches(self) -> Iterator[Batch]:
        """The samples, batch by batch; of long sequences, chunk by chunk of all of them."""
        part, size = getattr(self.run.task.splits, self.part), BATCH
        if self.run.task.carries_state:
            size = self.run.task.eval_batch_size
        for first in range(0, self.samples, size):
            yield part.__getitems__(range(first, min(first + size, self.samples)))

    @torch.no_grad()
    def score(self, rnn: ODERNN) -> dict[str, float] | None:
        """The loss and the metrics of the samples with `rnn` for the layer; None where they are not finite."""
        recurrence, means, state = self.recurrence.with_layers([rnn]), RunningMeans(), None
        for batch in self.batches():
            x = self.encoder(batch.x.to(self.x))
            features, after = recurrence.continued(x, state)
            state = after if self.run.task.carries_state else None
            output = self.readout(features)
            if not bool(torch.isfinite(output).all()):
                return None  # of which classification would make an accuracy all the same
            means.add(self.objective.score(output, batch.target), batch.mask)
        scores = self.objective.summarise(means.close())
        return scores if all(map(isfinite, scores.values())) else None


def read_subject(path: Path, data_dir: Path | None, part: Part, samples: int, sequences: int) -> Subject:
    """The network of the run folder `path`.

    Args:
        path: the folder.
        data_dir: for a task that reads files.
        part: of the data.
        samples: how many of it to score; fewer where there are fewer.
        sequences: how many of them to look at closely.

    Raises:
        UserError: there is no such run, it has not ended, it diverged, it trained no vector field, or its files or its
            data cannot be read.
    """
    run = read_ended(path, data_dir)
    network = run.networks[BEST]
    available = getattr(run.task.splits, part)
    rows = range(min(sequences, len(available)))
    with torch.no_grad():
        x = network.encoder(available.__getitems__(rows).x.to(next(network.parameters())))
    count = min(samples, len(available))
    result = read_result(run.folder.result)
    return Subject(run, result, _layer(run, network), network.encoder, network.readout, part, count, x)


def _layer(run: RestoredRun, network: SequenceNetwork) -> ODERecurrence:
    part = network.recurrent
    if isinstance(part, ODERecurrence):
        if part.upper:
            raise UserError(f"the run {run.title!r} trained {len(part.layers)} layers; a comparison takes one layer")
        return part
    assert isinstance(part, Baseline)
    name = type(part.rnn).__name__
    raise UserError(f"the run {run.title!r} trained torch's {name}, which has no vector field for a solver to step")
