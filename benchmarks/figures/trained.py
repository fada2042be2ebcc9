"""A trained network from the folder of its run: its recurrent layer at several epochs, and samples of its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.models.baselines import Baseline
from benchmarks.run.restore import BEST, restore
from benchmarks.support.errors import UserError
from odernn import ODERNN, ODERecurrence, SequenceNetwork


@dataclass(frozen=True)
class TrainedNetwork:
    """A network at several moments of its training.

    Attributes:
        title: of the run.
        moments: the recurrent layer, an ODERNN or a layer of torch, at the start, after the last epoch and after the
            one with the best validation accuracy.
        x: what it reads of validation samples of its task (batch, time, input).
    """

    title: str
    moments: Mapping[str, ODERNN | nn.Module]
    x: Float[Tensor, "batch time input"]

    @property
    def best(self) -> ODERNN:
        """The network of the epoch with the best validation accuracy.

        Raises:
            UserError: it is a layer of torch, which is not a vector field.
        """
        rnn = self.moments[BEST]
        if isinstance(rnn, ODERNN):
            return rnn
        raise UserError(
            f"the run {self.title!r} trained torch's {type(rnn).__name__}, which has no vector field; name a run of an "
            "ODE network with `--run`, or ask for `--only figure2`"
        )


def read_trained(path: Path, data_dir: Path | None, sequences: int) -> TrainedNetwork:
    """The network of the run folder `path`, with `sequences` validation samples. Errors as `restore`."""
    run = restore(path, data_dir)
    with torch.no_grad():
        network = run.networks[BEST]
        x = network.encoder(run.task.splits.val.__getitems__(range(sequences)).x.to(next(network.parameters())))
    return TrainedNetwork(
        run.title, {moment: _recurrent(network, run.title) for moment, network in run.networks.items()}, x
    )


def _recurrent(network: SequenceNetwork, title: str) -> ODERNN | nn.Module:
    part = network.recurrent
    assert isinstance(part, ODERecurrence | Baseline)
    if isinstance(part, ODERecurrence) and part.upper:
        raise UserError(f"the run {title!r} trained {len(part.layers)} layers; the figures take one layer")
    return part.rnn
