"""What the paper reports, to stand beside what comes out here.

Source: Chang, Chen, Haber & Chi, AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks, ICLR 2019,
arXiv 1902.09689, the tables of sec. 5: pixel-by-pixel MNIST, and CIFAR-10. Numbers of other authors are
as it quotes them. It selects on the test data, as far as it says, and gives no spread.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A line of one of the paper's tables.

    Attributes:
        method: its name there.
        row: the file of settings of the same network here; None where there is none.
        parameters: as printed; of two sizes, both.
        accuracy: of the test data in %, by task.
        ours: whether it is a network that the paper proposes.
    """

    method: str
    row: str | None
    parameters: str
    accuracy: dict[str, str]
    ours: bool = False


MNIST = ("smnist", "pmnist")
CIFAR = ("pixel-cifar", "noise-padded-cifar")


def _line(
    tasks: tuple[str, str], method: str, row: str | None, parameters: str, *accuracy: str, ours: bool = False
) -> Published:
    return Published(method, row, parameters, dict(zip(tasks, accuracy, strict=True)), ours)


TABLE_1 = (
    _line(MNIST, "LSTM", "lstm", "68k", "97.3", "92.6"),
    _line(MNIST, "FC uRNN, 116 / 512 units", None, "16k / 270k", "92.8 / 96.9", "92.1 / 94.1"),
    _line(MNIST, "Soft orthogonal", None, "18k", "94.1", "91.4"),
    _line(MNIST, "KRU, 512 units", None, "11k", "96.4", "94.5"),
    _line(MNIST, "AntisymmetricRNN", "antisymmetric", "10k", "98.0", "95.8", ours=True),
    _line(MNIST, "AntisymmetricRNN, gated", "gated", "10k", "98.8", "93.1", ours=True),
)
TABLE_2 = (
    _line(CIFAR, "LSTM", "lstm", "69k", "59.7", "11.6"),
    _line(CIFAR, "Ablation (unstructured W)", "ablation", "42k", "54.6", "46.2"),
    _line(CIFAR, "AntisymmetricRNN", "antisymmetric", "36k", "58.7", "48.3", ours=True),
    _line(CIFAR, "AntisymmetricRNN, gated", "gated", "37k", "62.2", "54.7", ours=True),
)
PUBLISHED = TABLE_1 + TABLE_2


def published_for(task: str) -> list[Published]:
    """The lines with a number for `task`; none for a task that the paper does not have."""
    return [line for line in PUBLISHED if task in line.accuracy]


def best_of_the_paper(task: str) -> float | None:
    """The best accuracy in % that the paper reports for its own networks on `task`; None where it has none."""
    return max((float(line.accuracy[task]) for line in published_for(task) if line.ours), default=None)
