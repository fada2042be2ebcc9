"""Tasks as LightningDataModules, one a file. `TASKS` is the one registry: name to class."""

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.tasks.adding import Adding
from benchmarks.tasks.copy import Copy
from benchmarks.tasks.noise_padded_cifar import NoisePaddedCIFAR
from benchmarks.tasks.noise_padded_mnist import NoisePaddedMNIST
from benchmarks.tasks.pixel_cifar import PixelCIFAR
from benchmarks.tasks.pixel_digits import PixelDigits
from benchmarks.tasks.pixel_mnist import PixelMNIST
from benchmarks.tasks.task import Task

TASKS: Mapping[str, type[Task]] = MappingProxyType(
    {
        "digits": PixelDigits,
        "digits-permuted": PixelDigits,
        "smnist": PixelMNIST,
        "pmnist": PixelMNIST,
        "pixel-cifar": PixelCIFAR,
        "noise-padded-cifar": NoisePaddedCIFAR,
        "noise-padded-mnist": NoisePaddedMNIST,
        "adding": Adding,
        "copy": Copy,
    }
)

__all__ = [
    "TASKS",
    "Adding",
    "Copy",
    "NoisePaddedCIFAR",
    "NoisePaddedMNIST",
    "PixelCIFAR",
    "PixelDigits",
    "PixelMNIST",
    "Task",
]
