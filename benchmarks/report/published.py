"""What the paper reports, to stand beside what comes out here.

Source: Chang, Chen, Haber & Chi, AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks, ICLR 2019,
arXiv 1902.09689, the table of sec. 5.1 (pixel-by-pixel MNIST). Numbers of other authors are as it quotes them. It
selects on the test data, as far as it says, and gives no spread.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A line of the paper's table.

    Attributes:
        method: its name there.
        row: the file of settings of the same network here; None where there is none.
        parameters: as printed; of two sizes, both.
        accuracy: of the test data in %, by task.
    """

    method: str
    row: str | None
    parameters: str
    accuracy: dict[str, str]


PUBLISHED = (
    Published("LSTM", "lstm", "68k", {"smnist": "97.3", "pmnist": "92.6"}),
    Published("FC uRNN, 116 / 512 units", None, "16k / 270k", {"smnist": "92.8 / 96.9", "pmnist": "92.1 / 94.1"}),
    Published("Soft orthogonal", None, "18k", {"smnist": "94.1", "pmnist": "91.4"}),
    Published("KRU, 512 units", None, "11k", {"smnist": "96.4", "pmnist": "94.5"}),
    Published("AntisymmetricRNN", "antisymmetric", "10k", {"smnist": "98.0", "pmnist": "95.8"}),
    Published("AntisymmetricRNN, gated", "gated", "10k", {"smnist": "98.8", "pmnist": "93.1"}),
)


def published_for(task: str) -> list[Published]:
    """The lines with a number for `task`; none for a task that the paper does not have."""
    return [line for line in PUBLISHED if task in line.accuracy]
