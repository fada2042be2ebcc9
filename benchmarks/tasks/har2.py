"""HAR-2: whether somebody walks or stands, from the phone at the waist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from benchmarks.data.har import ACTIVITIES, LENGTH, PEOPLE, SIGNALS, Windows, load_har, locate_har
from benchmarks.data.random_splits import permutation
from benchmarks.objectives import Batch, Classification, Objective
from benchmarks.tasks.arguments import check_count, count, folder, seed
from benchmarks.tasks.samples import Samples, Splits
from benchmarks.tasks.task import Task

# One number for all signals, as in the published code.
MEAN, STD = 0.10206605722975093, 0.4021651763839265
# The activities of the first class; the grouping is from memory, and not verified.
FIRST = ("walking upstairs", "sitting", "laying")
CLASSES = ("sitting, laying, upstairs", "standing, walking, downstairs")


@final
class WindowSamples(Samples):
    """Windows, standardised."""

    def __init__(self, signals: Float[Tensor, "count time signal"], labels: Int64[Tensor, "count"]) -> None:
        self.signals = signals
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Int64[Tensor, "batch"], epoch: int) -> Batch:
        return Batch((self.signals[rows] - MEAN) / STD, self.labels[rows])


@final
@dataclass(kw_only=True, eq=False)
class HAR2(Task):
    """UCI HAR's windows of 128 steps of nine signals, its six activities in two classes.

    Sitting, laying and walking upstairs are one class; standing, walking and walking downstairs the other. All signals
    are standardised by one mean and one standard deviation. The parts for training, 7,352 windows of 21 people, and
    for test, 2,947 of nine others, are the published ones. Validation holds out people and not windows: windows overlap
    by half, so at random nearly each would have a neighbour in training that shares half of its samples, and the choice
    of an epoch would be made on what the network has seen. Test is of other people too.

    Source: A. Kusupati et al., FastGRNN, NeurIPS 2018, for the two classes; Rusch & Mishra, coRNN, ICLR 2021, sec. 4,
    for the task as its code does it, with one logit where there are two here, and an unknown part held out. The
    grouping of the activities has not been verified against either.

    Args:
        data_dir: folder with the data set's files, or with its archive. None: the folder that the environment variable
            ODERNN_DATA names; if that is not set, a download of 61 MB into the user's cache.
        val_people: people of the training part held out for validation.
        split_seed: of that draw. Results are comparable only where it is the same.
    """

    data_dir: Path | None = folder()
    val_people: int = count(4, most=PEOPLE - 1)
    split_seed: int = seed()

    input_size: ClassVar[int] = len(SIGNALS)
    objective: ClassVar[Objective] = Classification(2, class_names=CLASSES)

    @property
    def name(self) -> str:
        return "har-2"

    @property
    def length(self) -> int:
        return LENGTH

    def prepare_data(self) -> None:
        """Downloads what is not there."""
        locate_har(self.data_dir)

    def read(self) -> Splits:
        """The three parts.

        Raises:
            as `load_har`; ValueError: the training part has too few people for `val_people`.
        """
        data = load_har(self.data_dir)
        people = data.train.people.unique()
        check_count("val_people", self.val_people, most=len(people) - 1)
        held = torch.isin(data.train.people, people[permutation(len(people), self.split_seed)[: self.val_people]])
        every = torch.ones_like(data.test.people, dtype=torch.bool)
        return Splits(
            _samples(data.train, ~held), _samples(data.train, held), _samples(data.test, every), data.checksum
        )


def _samples(windows: Windows, chosen: Tensor) -> WindowSamples:
    first = torch.tensor([activity in FIRST for activity in ACTIVITIES])
    return WindowSamples(windows.signals[chosen], (~first[windows.activities[chosen]]).long())
