"""The networks that the suite is for: trained runs that classify images read pixel by pixel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.report.result import RunResult, read_result
from benchmarks.run.restore import BEST, RestoredRun, read_ended
from benchmarks.support.errors import UserError
from benchmarks.tasks.images import ImageSequences, Scale
from benchmarks.tasks.pixels import pixel_order, sequences_of_test
from odernn import SequenceNetwork

CHUNK = 250
"""Images that are perturbed and scored at once; the noise is drawn for so many, so it is part of the suite."""


class Chunk(NamedTuple):
    """Some images.

    Attributes:
        number: of the chunk, from 0.
        pixels: from 0 to 1, as the network reads them.
        labels: what they show.
    """

    number: int
    pixels: Float[Tensor, "batch time channel"]
    labels: Int64[Tensor, " batch"]


@dataclass(frozen=True)
class Images:
    """Test images of a task.

    Attributes:
        sequences: the images.
        count: how many of them count, the first ones.
        order: step t reads pixel order[t] of the scanline; None where it reads pixel t.
    """

    sequences: ImageSequences
    count: int
    order: Int64[Tensor, " time"] | None

    def chunks(self) -> Iterator[Chunk]:
        """The images, chunk by chunk."""
        scale = self.sequences.scale
        for number, first in enumerate(range(0, self.count, CHUNK)):
            rows = slice(first, min(first + CHUNK, self.count))
            yield Chunk(number, self.sequences.pixels[rows] / torch.tensor(scale.maximum), self.sequences.labels[rows])

    def standardise(self, pixels: Float[Tensor, "batch time channel"]) -> Float[Tensor, "batch time channel"]:
        """What the network is given for pixels."""
        scale: Scale = self.sequences.scale
        return (pixels - torch.tensor(scale.mean)) / torch.tensor(scale.std)


@dataclass(frozen=True)
class Trained:
    """A trained network with the images that it is tried on.

    Attributes:
        run: where it is from.
        result: what the run came to.
        network: with the weights of the best epoch, without gradients to them.
        images: of its task's test part.
        digest: of the weights and of the settings that say how they are used.
    """

    run: RestoredRun
    result: RunResult
    network: SequenceNetwork
    images: Images
    digest: str

    @property
    def label(self) -> str:
        """Task and row, with the seed where it is not the first."""
        seed = self.result.seed
        return str(self.run.name) + (f", seed {seed}" if seed else "")


def read_trained(path: Path, data_dir: Path | None, limit: int | None) -> Trained:
    """The network of the run folder `path`, with its test images, or the first `limit` of them.

    Raises:
        UserError: there is no such run, it has not ended or diverged, it does not classify images read pixel by pixel,
            or its files or its data cannot be read.
    """
    run = read_ended(path, data_dir)
    sequences = _sequences(run)
    count = len(run.task.splits.test) if limit is None else min(limit, len(run.task.splits.test))
    network = run.networks[BEST].eval().requires_grad_(False)
    images = Images(sequences, count, pixel_order(run.task))
    return Trained(run, read_result(run.folder.result), network, images, digest_of(run, network))


def digest_of(run: RestoredRun, network: SequenceNetwork) -> str:
    """A checksum of a network: two that differ in a weight or in a setting of the model differ in it."""
    found = hashlib.sha256(json.dumps([run.name.task, asdict(run.settings.model)], sort_keys=True).encode())
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def check_distinct(trained: Sequence[Trained]) -> None:
    """Raises UserError where a network is named twice."""
    for index, one in enumerate(trained):
        for other in trained[:index]:
            if one.digest == other.digest or one.label == other.label:
                raise UserError(f"`run` names {one.label} twice: {other.run.folder.path} and {one.run.folder.path}")


def _sequences(run: RestoredRun) -> ImageSequences:
    sequences = sequences_of_test(run.task)
    if sequences is None:
        raise UserError(
            f"`run` is {run.folder.path}, of the task {run.task.name}; the suite perturbs images that are read pixel "
            "by pixel and classified, such as those of digits, smnist, pmnist and pixel-cifar"
        )
    return sequences
