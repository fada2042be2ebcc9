"""Tasks as LightningDataModules, one a file. `TASKS` is the one registry: name to class."""

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.tasks.adding import Adding
from benchmarks.tasks.copy import Copy
from benchmarks.tasks.har2 import HAR2
from benchmarks.tasks.noise_padded_cifar import NoisePaddedCIFAR
from benchmarks.tasks.noise_padded_mnist import NoisePaddedMNIST
from benchmarks.tasks.pixel_cifar import PixelCIFAR
from benchmarks.tasks.pixel_digits import PixelDigits
from benchmarks.tasks.pixel_mnist import PixelMNIST
from benchmarks.tasks.ptb_characters import PTBCharacters
from benchmarks.tasks.speech_commands import SpeechCommands12
from benchmarks.tasks.task import Task
from benchmarks.tasks.text_characters import TextCharacters

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
        "har-2": HAR2,
        "speech-commands-12": SpeechCommands12,
        "ptb-characters": PTBCharacters,
        "text-characters": TextCharacters,
    }
)

__all__ = [
    "HAR2",
    "TASKS",
    "Adding",
    "Copy",
    "NoisePaddedCIFAR",
    "NoisePaddedMNIST",
    "PTBCharacters",
    "PixelCIFAR",
    "PixelDigits",
    "PixelMNIST",
    "SpeechCommands12",
    "Task",
    "TextCharacters",
]
