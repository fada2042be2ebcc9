"""Tasks as LightningDataModules, one a file. `TASKS` is the one registry: name to class."""

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.tasks.digits import PixelDigits
from benchmarks.tasks.mnist import PixelMNIST
from benchmarks.tasks.task import Task

TASKS: Mapping[str, type[Task]] = MappingProxyType(
    {
        "digits": PixelDigits,
        "digits-permuted": PixelDigits,
        "smnist": PixelMNIST,
        "pmnist": PixelMNIST,
    }
)

__all__ = ["TASKS", "PixelDigits", "PixelMNIST", "Task"]
