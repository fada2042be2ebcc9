"""Fields that several tests share: of a user's own, which no operator knows."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from odernn import AffinePointwiseField, NoisyField, PartitionedField, SemilinearField, VectorField
from odernn.fields.field import is_damped_partitioned
from solvers.extend import Time


class Unregistered(AffinePointwiseField):
    """The arithmetic of a registered field in a user's own class, whose parts are called one by one."""

    def __init__(self, inner: AffinePointwiseField) -> None:
        super().__init__(inner.input_size, inner.hidden_size)
        self.inner = inner

    def control(self, x: Tensor) -> Tensor:
        return self.inner.control(x)

    def weight(self) -> Tensor:
        return self.inner.weight()

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self.inner.pointwise(y, p, u)


class UnregisteredPartitioned(Unregistered):
    """The same of a partitioned field."""

    partitioned = True

    def drift(self, t: Time, p: Tensor, u: Tensor) -> Tensor:
        return cast(PartitionedField, self.inner).drift(t, p, u)

    def kick(self, t: Time, q: Tensor, u: Tensor) -> Tensor:
        return cast(PartitionedField, self.inner).kick(t, q, u)


class UnregisteredDamped(Unregistered):
    """The same of a field whose kick sees p."""

    partitioned = True
    kick_sees_p = True

    def drift(self, t: Time, *given: Tensor) -> Tensor:
        return cast(Any, self.inner).drift(t, *given)

    def kick(self, t: Time, *given: Tensor) -> Tensor:
        return cast(Any, self.inner).kick(t, *given)


class UnregisteredOfOwnHalves(UnregisteredDamped):
    """The same of a field whose drift sees q too."""

    drift_sees_q = True


class UnregisteredSemilinear(Unregistered):
    """The same of a field with a linear part."""

    def semilinear(self) -> tuple[Any, Callable[[Time, Tensor, Tensor], Tensor]]:
        return cast(SemilinearField, self.inner).semilinear()


def unregistered(field: VectorField) -> VectorField:
    """A field of the user's own that computes what a registered one does."""
    if isinstance(field, NoisyField):
        return NoisyField(unregistered(field.field), additive=field.additive, multiplicative=field.multiplicative)
    assert isinstance(field, AffinePointwiseField)
    if is_damped_partitioned(field):
        return UnregisteredOfOwnHalves(field) if field.drift_sees_q else UnregisteredDamped(field)
    if isinstance(field, PartitionedField):
        return UnregisteredPartitioned(field)
    return UnregisteredSemilinear(field) if isinstance(field, SemilinearField) else Unregistered(field)


class Damped(AffinePointwiseField):
    """A field of its own that sees the state itself, has two preactivations a unit and a parameter in `pointwise`."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.state_map, self.input_map = nn.Linear(4, 8, bias=False), nn.Linear(2, 4)
        self.rate = nn.Parameter(torch.tensor(0.3))

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x).sin()

    def weight(self) -> Tensor:
        return self.state_map.weight

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        first, second = p.chunk(2, dim=-1)
        return torch.tanh(first + u) * second - self.rate * y.sin()
