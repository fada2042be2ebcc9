"""An ensemble of networks trained at once by torch.func.vmap: where they have seen nothing, they disagree."""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from odernn import AntisymmetricRNN


class Mean(nn.Module):
    """The mean of a sequence, by a recurrent layer and a readout of its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = AntisymmetricRNN(1, 16, epsilon=0.2, gamma=0.1)
        self.readout = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch,) of (time, batch, 1)."""
        return self.readout(self.rnn(x)[1][-1])[:, 0]


def main(steps: int = 150, members: int = 6) -> dict[str, float]:
    """Train on sequences around zero, then ask for the mean of sequences there and far from there."""
    torch.manual_seed(0)
    models = [Mean() for _ in range(members)]
    parameters, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0])

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return nn.functional.mse_loss(functional_call(base, (weights, buffers), (x,)), x.mean((0, 2)))

    gradients = vmap(grad(loss), in_dims=(0, None))
    optimiser = torch.optim.Adam(list(parameters.values()), lr=0.01)
    for _ in range(steps):
        x = torch.randn(20, 1, 1) * 0.3 + torch.rand(20, 32, 1) - 0.5
        for name, value in gradients(parameters, x).items():
            parameters[name].grad = value
        optimiser.step()
    found = {}
    for name, centre in (("seen", 0.0), ("not seen", 3.0)):
        x = centre + torch.rand(20, 100, 1) - 0.5
        with torch.no_grad():
            said = vmap(lambda weights, x: functional_call(base, (weights, buffers), (x,)), in_dims=(0, None))(
                parameters, x
            )
        found[name] = float(said.std(0).mean())
    print(", ".join(f"{name}: {value:.3f}" for name, value in found.items()), "(deviation among the members)")
    return found


if __name__ == "__main__":
    main()
