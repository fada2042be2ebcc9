"""A driven pendulum seen at irregular times: the network reads the times, and says the angle at the next sight."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from odernn import ODERNN, AntisymmetricField
from solvers import odeint


def pendulums(batch: int, sights: int) -> tuple[Tensor, Tensor]:
    """Times (batch, sights) and angles (batch, sights) of pendulums with a drive of a random strength."""
    fine = torch.linspace(0, 20, 401)
    strength = 0.5 + torch.rand(batch)

    def slope(t: Tensor, y: Tensor) -> Tensor:
        angle, speed = y.unbind(-1)
        force = strength * torch.cos(1.3 * t) - 0.2 * speed - torch.sin(angle)
        return torch.stack((speed, force), dim=-1)

    solved = odeint(slope, torch.randn(batch, 2), fine, method="rk4")
    assert isinstance(solved, Tensor)
    angles = solved[..., 0].T
    seen = torch.rand(batch, 400).argsort(1)[:, :sights].sort(1).values + 1
    return fine[seen], angles.gather(1, seen)


def train(told: bool, data: tuple[Tensor, Tensor], steps: int) -> tuple[float, Tensor]:
    """The error at the end, and the guesses for the first pendulum; a network that is not told takes even steps."""
    torch.manual_seed(0)
    rnn, readout = ODERNN(AntisymmetricField(2, 48, damping=0.1), "heun", dt=0.2), nn.Linear(48, 1)
    optimiser = torch.optim.Adam([*rnn.parameters(), *readout.parameters()], lr=0.01)
    errors, guess = [], torch.empty(0)
    for n in range(steps):
        some = slice(64 * n % 512, 64 * n % 512 + 64)
        times, angles = data[0][some], data[1][some]
        # the network runs from a sight to the next: its interval is the one that the angle is asked for
        ahead = times.diff(dim=1) if told else torch.full_like(times[:, 1:], 20 / times.shape[1])
        output, _ = rnn(torch.stack((angles[:, :-1], ahead), dim=-1).transpose(0, 1), dt=ahead)
        guess = angles[:, :-1] + readout(output)[..., 0].T
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(guess, angles[:, 1:])
        loss.backward()
        optimiser.step()
        errors.append(float(loss.detach()))
    return sum(errors[-8:]) / len(errors[-8:]), guess[0].detach()


def main(steps: int = 400, folder: Path = Path()) -> dict[str, float]:
    """Train, and compare with a network that is not told the times, and with the angle seen last."""
    torch.manual_seed(0)
    times, angles = data = pendulums(512, 60)
    found = {"the angle before": float((angles[:, 1:] - angles[:, :-1]).square().mean())}
    found["without times"], _ = train(False, data, steps)
    found["with times"], guess = train(True, data, steps)
    first = 64 * (steps - 1) % 512
    figure, axes = plt.subplots()
    axes.plot(times[first, 1:], angles[first, 1:], "o", label="seen")
    axes.plot(times[first, 1:], guess, "x", label="said before")
    axes.set(xlabel="time", ylabel="angle")
    axes.legend()
    figure.savefig(folder / "pendulum.png")
    plt.close(figure)
    print(", ".join(f"{name}: {value:.4f}" for name, value in found.items()), "(squared error of the angle)")
    return found


if __name__ == "__main__":
    main()
