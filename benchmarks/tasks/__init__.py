"""Tasks as LightningDataModules, one a file. `TASKS` is the one registry: name to class."""

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.tasks.digits import Digits
from benchmarks.tasks.digits_permuted import PermutedDigits
from benchmarks.tasks.pixel_task import PixelTask
from benchmarks.tasks.pmnist import PermutedMNIST
from benchmarks.tasks.smnist import SequentialMNIST

TASKS: Mapping[str, type[PixelTask]] = MappingProxyType(
    {task.name: task for task in (Digits, PermutedDigits, SequentialMNIST, PermutedMNIST)}
)

__all__ = ["TASKS", "Digits", "PermutedDigits", "PermutedMNIST", "PixelTask", "SequentialMNIST"]
