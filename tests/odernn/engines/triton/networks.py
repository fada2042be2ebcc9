"""Networks of fields that no operator knows, for the kernels that are made of their `pointwise`."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from odernn import FIELDS, ODERNN, AffinePointwiseField, EngineWarning
from tests.fields import Unregistered, UnregisteredPartitioned


class Learned(AffinePointwiseField):
    """Two preactivations, two controls, the state itself, a number a unit and one for all."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Parameter(torch.randn(2 * hidden_size, hidden_size) / hidden_size**0.5)
        self.input_map = nn.Linear(input_size, 2 * hidden_size)
        self.scale = nn.Parameter(torch.rand(hidden_size))
        self.decay = nn.Parameter(torch.tensor(0.3))

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def weight(self) -> Tensor:
        return self.recurrent

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        gate, candidate = p.chunk(2, dim=-1)
        by_gate, by_candidate = u.chunk(2, dim=-1)
        return torch.sigmoid(gate + by_gate) * torch.tanh(candidate + by_candidate) * self.scale - self.decay * y


_FIELDS = {
    "learned": lambda: Learned(3, 12),
    "gated": lambda: Unregistered(FIELDS["gated-antisymmetric"](3, 12)),
    "lem": lambda: FIELDS["lem"](3, 12),
    "hamiltonian": lambda: UnregisteredPartitioned(FIELDS["hamiltonian"](3, 12)),
}


def networks() -> list[str]:
    """Their names: field, solver and hold."""
    solvers = dict.fromkeys(_FIELDS, ("euler", "rk4", "leapfrog-midpoint")) | {"hamiltonian": ("leapfrog",)}
    solvers["lem"] = (*solvers["lem"], "symplectic-euler")
    return [
        f"{name} {solver} {hold}" for name in _FIELDS for solver in solvers[name] for hold in ("zero-order", "linear")
    ]


def resident_networks() -> list[str]:
    """Of them one a field and solver, the holds in turn."""
    return networks()[::4] + networks()[3::4]


def streamed_networks() -> list[str]:
    """The others, for a streamed K: a field and solver are tried with either K, each with another hold."""
    return networks()[1::4] + networks()[2::4]


def trained(name: str, engine: str, dtype: torch.dtype, device: str) -> list[Tensor]:
    """The output and the gradients of a weighted sum of it, in float64 on the CPU."""
    torch.manual_seed(0)
    field, solver, hold = name.split()
    adjoint = "autograd" if engine == "torch" else "auto"
    rnn = ODERNN(_FIELDS[field](), solver, dt=0.1, hold=hold, substeps=2, engine=engine, adjoint=adjoint)
    rnn, x = rnn.to(device, dtype), torch.randn(5, 3, 3, dtype=torch.float64).to(device, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EngineWarning)
        output, _ = rnn(x)
    if engine == "triton":
        assert "made of the field's `pointwise`" in rnn.choice(x).reason
    weights = torch.sin(torch.arange(output.numel(), dtype=torch.float64)).to(output).reshape(output.shape)
    (output * weights).sum().backward()
    return [each.detach().double().cpu() for each in (output, *(p.grad for p in rnn.parameters())) if each is not None]
