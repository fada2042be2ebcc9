"""A vector field of one's own in fifteen lines: its exact adjoint is compared with autograd, and it is trained."""

import torch
from torch import Tensor, nn

from odernn import ODERNN, AffinePointwiseField


class LeakyField(AffinePointwiseField):
    """dy/dt = relu(W y + V x + b) - rate y, every unit with a rate of its own, which is learned."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.input_map = nn.Linear(input_size, hidden_size)
        self.matrix = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)
        self.log_rate = nn.Parameter(torch.linspace(-3, 1, hidden_size))

    def control(self, x: Tensor) -> Tensor:
        """V x + b, for all times at once."""
        return self.input_map(x)

    def weight(self) -> Tensor:
        """W, once a call."""
        return self.matrix

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        """dy/dt from y, p = W y and u, unit by unit."""
        return torch.relu(p + u) - self.log_rate.exp() * y


def main(steps: int = 200) -> dict[str, float]:
    """Learn the running mean of a noise with a slow and a fast part."""
    torch.manual_seed(0)
    rnn = ODERNN(LeakyField(1, 24), "heun", dt=0.2)
    readout = nn.Linear(24, 1)
    parameters = [*rnn.parameters(), *readout.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    loss = torch.zeros(())
    for _ in range(steps):
        x = torch.randn(50, 32, 1)
        target = x.cumsum(0) / torch.arange(1, 51).view(-1, 1, 1)
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(readout(rnn(x)[0]), target)
        loss.backward()
        optimiser.step()
    error = float(loss.detach())
    x = torch.randn(50, 4, 1)
    exact = torch.autograd.grad(rnn(x)[0].square().sum(), rnn.field.log_rate)[0]  # pyright: ignore
    rnn.adjoint = "autograd"  # pyright: ignore[reportAttributeAccessIssue]
    tape = torch.autograd.grad(rnn(x)[0].square().sum(), rnn.field.log_rate)[0]  # pyright: ignore
    off = float((exact - tape).abs().max() / tape.abs().max())
    print(f"mean squared error {error:.4f}; the exact adjoint is off by {off:.1e} of autograd's gradient")
    return {"loss": error, "off": off}


if __name__ == "__main__":
    main()
