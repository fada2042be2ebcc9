"""Solver: the contract of a fixed-step method, and the laws that every method obeys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

from torch import Tensor

from .methods.exponential_tableau import ExponentialTableau
from .right_hand_side import Need, RightHandSide, Time
from .scheme import Carry, Schemes


@dataclass(frozen=True)
class Solver(ABC):
    """A fixed-step method: hyperparameters only, no tensors, no right-hand side.

    It is a value. A subclass with hyperparameters is a frozen dataclass too, and they are its fields: two solvers whose
    fields are equal are taken for the same method.

    Laws, each a test over the registry:
        - order: the error at a fixed time falls as dt^order on a smooth nonlinear non-autonomous problem;
        - one step on y' = z y / dt multiplies a mode by a factor of modulus `amplification(z)`, in the long run for a
          method with a carry;
        - `schemes`, if there are any, do what `step` does;
        - a step is a pure function: the same arguments give the same result, and nothing of them is changed.
    """

    order: ClassVar[int]
    """The error at a fixed time is O(dt^order)."""
    stages: ClassVar[int]
    """Stages a step."""
    num_evals: ClassVar[float]
    """Evaluations of f a step; a single kick or drift is half of one."""
    family: ClassVar[str]
    """The kind of method, for the tables."""
    symplectic: ClassVar[bool] = False
    """Whether a step on a Hamiltonian system is a symplectic map."""
    caches: ClassVar[bool] = False
    """Whether the carry only saves work, so that leaving it out changes no number."""
    needs: ClassVar[Need | None] = None
    """The structure the method needs of f, or None if any callable serves."""
    takes_own_half: ClassVar[bool] = False
    """Whether a method for partitioned systems takes a kick(t, q, p) and a drift(t, q, p) that see their own half."""
    caution: ClassVar[str] = ""
    """What to know before taking the method, in one line for the tables; empty where there is nothing."""
    schemes: ClassVar[Schemes | None] = None
    """The same step as coefficients, of an explicit method whose coefficients are numbers and ratios of steps."""
    exponential: ClassVar[ExponentialTableau | None] = None
    """The same of an exponential method, whose coefficients are functions of the linear part."""

    @abstractmethod
    def init(self, f: RightHandSide, t: Time, dt: Time, y: Tensor) -> Carry:
        """The carry before the first step from `y` at time `t`."""

    @abstractmethod
    def step(self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """One step from `t` to `t + dt`.

        Args:
            f: the right-hand side, f(t, y) of the shape of `y`.
            t: the time at the start of the step, a number or a tensor that broadcasts against `y`.
            dt: the step, negative to go back in time, a number or a tensor that broadcasts against `y`.
            y: the state (..., n).
            carry: what `init` or the step before returned.

        Returns:
            The state at `t + dt` and the carry to hand to the next step.
        """

    @abstractmethod
    def amplification(self, z: complex | Tensor) -> Tensor:
        """|R(z)|: by how much one step multiplies the modulus of a mode of y' = lambda y, z = lambda dt.

        For a multi-step or a partitioned method, the largest modulus of the roots of its characteristic polynomial.

        Args:
            z: a complex number or a tensor of any shape.

        Returns:
            A float64 tensor of the shape of `z`.
        """


@dataclass(frozen=True)
class ReversibleSolver(Solver):
    """A method whose step can be undone in closed form, which is what the reversible adjoint asks for.

    Law: `inverse_step` after `step` returns to the start, but for rounding.
    """

    @abstractmethod
    def inverse_step(
        self, f: RightHandSide, t: Time, dt: Time, y: Tensor, carry: Carry, dt_before: Time | None
    ) -> tuple[Tensor, Carry]:
        """Undo the step from `t` to `t + dt`.

        Args:
            f: the right-hand side of the step.
            t: the time at the start of the step, to which this returns.
            dt: the step that is undone.
            y: the state at `t + dt`.
            carry: the carry at `t + dt`.
            dt_before: the step before the one that is undone, or None if that was the method's first.

        Returns:
            The state and the carry at `t`.
        """


def check_solver(value: object) -> None:
    """An instance of a solver, whose hyperparameters are fields of a dataclass.

    Raises:
        TypeError: it is something else, or two such solvers of other hyperparameters would be equal, or have no hash.
    """
    if isinstance(value, type) and issubclass(value, Solver):
        raise TypeError(f"`solver` is the class {value.__name__}; give an instance: {value.__name__}()")
    if isinstance(value, str):
        raise TypeError(f"`solver` is the name {value!r}; give an instance: make_solver({value!r})")
    if not isinstance(value, Solver):
        raise TypeError(f"`solver` is {type(value).__name__}; give a Solver, such as RK4()")
    known, cls = {each.name for each in fields(value)}, type(value)
    for name in sorted(vars(value).keys() - known - set(dir(cls))):
        raise TypeError(
            f"`solver` is a {cls.__name__} with an attribute `{name}` that is not a field; make it a field of the "
            "class and the class a dataclass(frozen=True), so that solvers that differ in it are not equal"
        )
    try:
        hash(value)
    except TypeError as error:
        raise TypeError(
            f"`solver` is {value!r}, which has no hash ({error}); give its fields values that have one, such as tuples"
        ) from error
