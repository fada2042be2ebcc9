"""One trained network under other solvers: the weights stay, the discretisation changes, the error is printed."""

import torch
from torch import Tensor, nn

from odernn import ODERNN, AntisymmetricField

SOLVERS = ("euler", "heun", "rk4", "leapfrog-midpoint", "adams-bashforth2", "implicit-midpoint")


def echo(batch: int, length: int = 40, delay: int = 5) -> tuple[Tensor, Tensor]:
    """Smooth noise, and the same some samples later."""
    noise = torch.randn(length + 8, batch, 1)
    x = noise.unfold(0, 9, 1).mean(-1)
    return x, torch.cat((torch.zeros(delay, batch, 1), x[:-delay]))


def main(steps: int = 300) -> dict[str, float]:
    """Train under Heun's method, then measure under every solver of the list."""
    torch.manual_seed(0)
    rnn, readout = ODERNN(AntisymmetricField(1, 32, damping=0.2), "heun", dt=0.3), nn.Linear(32, 1)
    optimiser = torch.optim.Adam([*rnn.parameters(), *readout.parameters()], lr=0.01)
    for _ in range(steps):
        x, target = echo(32)
        optimiser.zero_grad()
        nn.functional.mse_loss(readout(rnn(x)[0]), target).backward()
        optimiser.step()
    x, target = echo(200)
    found = {"nothing": float(target.square().mean())}
    with torch.no_grad():
        for name in SOLVERS:
            found[name] = float(nn.functional.mse_loss(readout(rnn.with_solver(name)(x)[0]), target))
    for name, value in found.items():
        print(f"{name:>20}: {value:.5f}")
    return found


if __name__ == "__main__":
    main()
