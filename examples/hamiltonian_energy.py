"""The energy of a Hamiltonian network under a constant input: leapfrog keeps it, Euler's method does not."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from odernn import ODERNN, HamiltonianField


def energy(field: HamiltonianField, y: Tensor, x: Tensor) -> Tensor:
    """E = sum log cosh of the image of (q, p) under the weight, plus the control, as in the field's docstring."""
    return torch.log(torch.cosh(y @ field.weight().T + field.control(x))).sum(-1)


def main(samples: int = 2_000, folder: Path = Path()) -> dict[str, float]:
    """The largest relative change of the energy under each method, and a picture of it against time."""
    torch.manual_seed(0)
    field = HamiltonianField(1, 16, dtype=torch.float64)
    x = torch.full((samples, 1, 1), 0.3, dtype=torch.float64)
    y0 = 0.5 * torch.randn(1, 1, 16, dtype=torch.float64)
    start, found = energy(field, y0[0], x[0]), {}
    figure, axes = plt.subplots()
    for solver in ("leapfrog", "euler"):
        with torch.no_grad():
            output, _ = ODERNN(field, solver, dt=0.05)(x, y0)
            change = (energy(field, output, x) / start - 1)[:, 0]
        axes.plot(0.05 * torch.arange(samples), change, label=solver)
        found[solver] = float(change.abs().max())
    axes.set(xlabel="time", ylabel="relative change of the energy")
    axes.legend()
    figure.savefig(folder / "hamiltonian_energy.png")
    plt.close(figure)
    print(", ".join(f"{name}: {value:.1e}" for name, value in found.items()), "of the energy at most")
    return found


if __name__ == "__main__":
    main()
