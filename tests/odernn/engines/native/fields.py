"""Fields of one's own, for kernels that are compiled of their `pointwise`."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from odernn import AffinePointwiseField
from solvers.extend import Time

INPUT = 2
N = 6
UNITS = 32  # halves of whole vectors in either precision


class Every(AffinePointwiseField):
    """It sees the state, two preactivations, two controls and its parameters, and calls every operator of the table.

    Its state is two halves that see themselves and each other.
    """

    shift: Tensor
    partitioned = True
    kick_sees_p = True
    drift_sees_q = True

    def __init__(self) -> None:
        super().__init__(INPUT, N)
        torch.manual_seed(0)
        dtype = torch.float64
        self.state_map = nn.Linear(N, 2 * N, bias=False, dtype=dtype)
        self.input_map = nn.Linear(INPUT, 2 * N, dtype=dtype)
        self.rate = nn.Parameter(torch.tensor(0.3, dtype=dtype))
        self.scale = nn.Parameter(torch.randn(N, dtype=dtype))
        self.both = nn.Parameter(torch.randn(2 * N, dtype=dtype))
        self.register_buffer("shift", torch.linspace(0, 1, N, dtype=dtype))
        self.constant = 0.25

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x).sin()

    def weight(self) -> Tensor:
        return self.state_map.weight

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        a, b = (p * self.both + u).chunk(2, dim=-1)
        c, d = u[..., :N], u[..., N:]
        slope = torch.tanh(a) * torch.sigmoid(b) - self.rate.exp() * y.sin() + self.scale * (c - 2 * d)
        slope = slope + (1 - y * y).cos() / (2 + b.square()) + torch.sqrt(1 + a**2) - torch.log(2 + d**2)
        slope = slope + 0.1 * (torch.exp(-(c**2)) + torch.expm1(-(d**2)) + torch.log1p(y**2) + torch.sinh(torch.sin(b)))
        slope = slope + torch.relu(a) - torch.abs(b) + torch.maximum(a, c) - torch.minimum(b, d) + torch.atan(-y)
        slope = slope - torch.cosh(torch.cos(a)) + torch.sign(c) * self.constant + self.shift
        slope = slope + torch.where(a > c, a * c, b) + torch.where(d <= 0.5, d, 0.1) + torch.nn.functional.softplus(a)
        slope = slope + torch.erf(b) + torch.nn.functional.gelu(c) + torch.nn.functional.leaky_relu(d, 0.2)
        return torch.cat((slope, y), dim=-1)[..., :N] * 0.3 + torch.lerp(y, a, 0.1) + torch.addcmul(y, a, c, value=-0.2)

    def drift(self, t: Any, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self(t, torch.cat((q, p), dim=-1), u)[..., : N // 2]

    def kick(self, t: Any, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self(t, torch.cat((q, p), dim=-1), u)[..., N // 2 :]


class Coupled(AffinePointwiseField):
    """dq/dt = p, dp/dt = tanh(M (q, p) + u) - c (q, p), two groups of preactivations, M of two blocks.

    Args:
        blocks: of M, "dense", "zero" (it stays so) or "trained from zero", for q and p.
        told: whether the field says how K is filled.
    """

    partitioned: ClassVar[bool] = True
    kick_sees_p: ClassVar[bool] = True

    def __init__(self, blocks: tuple[str, str], told: bool) -> None:
        super().__init__(INPUT, UNITS)
        self.told = told
        half = UNITS // 2
        self.blocks = blocks
        self.parts = nn.ParameterList(
            torch.zeros(half, half) if block == "trained from zero" else torch.randn(half, half) / 4 for block in blocks
        )
        self.damping = nn.Parameter(torch.tensor([0.5, 0.25]))
        self.input_map = nn.Linear(INPUT, UNITS)

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    @property
    def weight_blocks(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride] - each instance has its own
        if not self.told:
            return None
        last = tuple("zero" if block == "zero" else "dense" for block in self.blocks)
        return (("zero", "diagonal"), ("diagonal", "diagonal"), ("zero", "zero"), last)

    def weight(self) -> Tensor:
        half = UNITS // 2
        one, zero = torch.eye(half).to(self.damping), self.damping.new_zeros(half, half)
        parts = [zero * part if block == "zero" else part for block, part in zip(self.blocks, self.parts, strict=True)]
        c, d = self.damping
        return torch.cat([torch.cat(row, dim=1) for row in ([zero, one], [-c * one, -d * one], [zero, zero], parts)])

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        linear, inside = p.chunk(2, dim=-1)
        return linear + torch.tanh(inside + u)

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return self(t, torch.cat((torch.zeros_like(p), p), dim=-1), u)[..., : UNITS // 2]

    def kick(self, t: Time, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self(t, torch.cat((q, p), dim=-1), u)[..., UNITS // 2 :]


class Undamped(Coupled):
    """dq/dt = p, dp/dt = tanh(M q + u) - c q: kicks and drifts take it, of which a kick may come in two parts."""

    kick_sees_p: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__(("dense", "zero"), told=True)
        self.damping = nn.Parameter(torch.tensor([0.5, 0.0]), requires_grad=False)

    def kick(self, t: Time, q: Tensor, u: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().kick(t, q, torch.zeros_like(q), u)


class Wrong(Coupled):
    """It says of K what it is told to say."""

    says: Any = None

    @property
    def weight_blocks(self) -> Any:
        return self.says
