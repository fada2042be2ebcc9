"""VectorField: the right-hand side dy/dt = f(t, y, u) of a recurrent network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Protocol, TypeGuard, cast, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from solvers import BlockDiagonal
from solvers.checks import check_count
from solvers.extend import LinearPart, Time

from ..control.input_map import AffineControl
from .activation import Activation

Filling = Literal["zero", "diagonal", "dense"]
"""How a block of K is filled; what is outside of it is zero and no function of a parameter."""

MEMORIES = REMEMBERED, TRACED, KERNELS = "_contract", "_traced", "_kernels"
"""The attributes in which a field remembers which promises it keeps, the expressions of its `pointwise`, and the
kernels that were compiled for it; no copy and no file has them."""


class VectorField(nn.Module, ABC):
    """The right-hand side of dy/dt = f(t, y, u), driven by a control u made from the input.

    A subclass implements `control` and `forward`. Weights that are functions of parameters are best registered with
    torch.nn.utils.parametrize: the layer builds them once a call.

    Attributes:
        input_size: features of an input sample.
        hidden_size: units of the state.
        drift_sees_q: whether the drift of a field whose kick sees p is given q, as drift(t, q, p, u).
    """

    drift_sees_q: ClassVar[bool] = False

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size

    def __getstate__(self) -> dict[str, object]:
        """All but what is remembered of this very object."""
        return {key: value for key, value in vars(self).items() if key not in MEMORIES}

    def reset_parameters(self) -> None:
        """Draw the parameters again, as at construction.

        Raises:
            NotImplementedError: the field does not say how.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say how its parameters are drawn; give it a method `reset_parameters`"
        )

    @abstractmethod
    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch control"]:
        """The part of the input's transform that needs no state; the layer calls it once, for all times at once."""

    @abstractmethod
    def forward(
        self, t: Time, y: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch hidden"]:
        """dy/dt at the time `t`, in the state `y`, under the control `u`."""


class AffinePointwiseField(VectorField):
    """A field that is elementwise in a linear map of the state: dy/dt = pointwise(y, y K^T, u).

    A subclass implements `control` or `affine_control`, `weight` and `pointwise`; `forward` follows. This structure is
    what lets the layer build K once a call and the fast adjoint treat all times at once. Time does not appear in it.

    Attributes:
        weight_blocks: how each half of the columns is filled in each half of K's rows, from top to bottom, of a state
            of two halves; on the CPU the zeros are then left out, in products and gradients. None: as may be. A
            subclass with a `weight` of its own states them anew: it does not inherit them.
    """

    weight_blocks: ClassVar[Sequence[tuple[Filling, Filling]] | None] = None

    def affine_control(self) -> AffineControl:
        """V and b of a control u = V x + b, made from the parameters.

        A field that states them has no `control` of its own: that follows, and kernels that were compiled for the field
        make it where they need it, so that it is never in memory for all times at once.

        Raises:
            NotImplementedError: the field implements `control` in its place.
        """
        raise NotImplementedError(
            f"{type(self).__name__} says nothing of its input; give it a method `control`, or `affine_control`"
        )

    def control(self, x: Float[Tensor, "*batch input"]) -> Float[Tensor, "*batch control"]:
        """V x + b of `affine_control`."""
        return self.affine_control()(x)

    @abstractmethod
    def weight(self) -> Float[Tensor, "preactivation hidden"]:
        """The matrix K, made from the parameters; `preactivation` is a multiple of `hidden`."""

    @abstractmethod
    def pointwise(
        self,
        y: Float[Tensor, "*batch hidden"],
        p: Float[Tensor, "*batch preactivation"],
        u: Float[Tensor, "*batch control"],
    ) -> Float[Tensor, "*batch hidden"]:
        """dy/dt from the state, its preactivation p = y K^T and the control, each unit from its own entries of them.

        Each row looks at itself, and an evaluation draws and changes nothing. The layer tries that once: a field that
        does otherwise, such as one with layer normalisation, goes by autograd step by step. As a plain `VectorField`
        it says so itself.
        """

    def forward(
        self, t: Time, y: Float[Tensor, "*batch hidden"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch hidden"]:
        """dy/dt = pointwise(y, y K^T, u)."""
        return self.pointwise(y, F.linear(y, self.weight()), u)


@runtime_checkable
class ActivatedField(Protocol):
    """An affine-pointwise field made of a registered activation and an affine control: what the operators execute."""

    activation: ClassVar[Activation]

    def affine_control(self) -> AffineControl:
        """What `control` computes."""
        ...


@runtime_checkable
class PartitionedField(Protocol):
    """A field of states (q, p), two halves of the last dimension.

    Attributes:
        partitioned: whether it is one; a field with drift and kick and `partitioned = False` is stepped as a whole.
    """

    partitioned: ClassVar[bool]

    def drift(
        self, t: Time, p: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch half"]:
        """dq/dt, of p, the time and the whole control only."""
        ...

    def kick(
        self, t: Time, q: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch half"]:
        """dp/dt, of q, the time and the whole control only; see `DampedPartitionedField` for one that sees p."""
        ...


@runtime_checkable
class DampedPartitionedField(Protocol):
    """A partitioned field whose kick sees its own half too, as with friction: SymplecticEuler takes it.

    With `drift_sees_q` its drift does so too, and is called as drift(t, q, p, u).

    Attributes:
        partitioned: whether its state is (q, p).
        kick_sees_p: whether `kick` is given p, as kick(t, q, p, u).
        drift_sees_q: whether `drift` is given q, as drift(t, q, p, u).
    """

    partitioned: ClassVar[bool]
    kick_sees_p: ClassVar[bool]
    drift_sees_q: ClassVar[bool]

    def drift(
        self, t: Time, p: Float[Tensor, "*batch half"], u: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch half"]:
        """dq/dt, of p, the time and the whole control only."""
        ...

    def kick(
        self,
        t: Time,
        q: Float[Tensor, "*batch half"],
        p: Float[Tensor, "*batch half"],
        u: Float[Tensor, "*batch control"],
    ) -> Float[Tensor, "*batch half"]:
        """dp/dt, of q, p, the time and the whole control."""
        ...


@runtime_checkable
class SemilinearField(Protocol):
    """A field with a declared linear part: dy/dt = A y + remainder(t, y, u)."""

    def semilinear(self) -> tuple[LinearPart, Callable[[Time, Tensor, Tensor], Tensor]]:
        """The matrix A and the remainder, made from the parameters; the layer asks once a call."""
        ...


@runtime_checkable
class BlockLinearField(Protocol):
    """An affine-pointwise field whose linear part is block-diagonal: K is that, dense, above the remainder's weight.

    If it is partitioned too, the remainder of the first half is zero: q is driven by the linear part only.
    """

    def linear_blocks(self) -> BlockDiagonal:
        """The linear part A."""
        ...


@runtime_checkable
class ScaledRemainderField(BlockLinearField, Protocol):
    """A block-linear field whose remainder is its activation's, each unit multiplied by a number of its own."""

    def remainder_scale(self) -> Float[Tensor, " hidden"]:
        """The numbers."""
        ...


def activation_of(field: VectorField) -> Activation | None:
    """The activation of a field that has one and an affine control, or None."""
    return cast(ActivatedField, field).activation if _has(field, ("activation", "affine_control")) else None


def is_block_linear(field: VectorField) -> bool:
    """Whether the field says that its linear part is block-diagonal."""
    return _has(field, ("linear_blocks",))


def _has(field: VectorField, names: tuple[str, ...]) -> bool:
    """Whether the field has these attributes; isinstance of a protocol takes ten times as long, and each call asks."""
    cls, own = type(field), vars(field)
    for name in names:
        if getattr(cls, name, None) is None and name not in own and name not in own["_modules"]:
            return False
    return True


def is_partitioned(field: VectorField) -> bool:
    """Whether the field says that its state is (q, p), each half driven by the other only."""
    return isinstance(field, PartitionedField) and field.partitioned and not is_damped_partitioned(field)


def is_damped_partitioned(field: VectorField) -> TypeGuard[DampedPartitionedField]:
    """Whether the field says that its state is (q, p) and that the kick sees p too."""
    return isinstance(field, DampedPartitionedField) and field.partitioned and field.kick_sees_p
