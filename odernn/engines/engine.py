"""Engine: what executes recurrences by operators of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from solvers import Adjoint

from .lowering import Operator
from .method import Method
from .problem import RecurrentProblem, Storage
from .program import Call, Products
from .torch.discrete_adjoint import DiscreteAdjoint

Advance = Callable[[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None], tuple[Tensor, Tensor, bool]]
"""(sample, state, control before, carried, coefficients) -> the state after the sample, the other vectors of a general
linear method, and whether all of the state is finite."""


@dataclass(frozen=True)
class Engine(ABC):
    """What executes recurrences by two operators in torch.ops, `solve` and `pull_back`, that `register_engine` defines.

    A new one is a folder with such a class and a line in `ENGINES`, or a value that a layer is given as `engine=`. Only
    `refusal` must be written; what else an engine can do, it says by a method of its own.

    Laws, each a test: its numbers and gradients are autograd's; a sequence in parts is the whole; the rows of a batch
    do not see each other.
    """

    name: ClassVar[str]
    """What it is called in `ODERNN.choice` and in messages."""
    namespace: ClassVar[str]
    """Where its operators are in torch.ops."""
    devices: ClassVar[tuple[str, ...]] = ()
    """The types of devices on which `engine="auto"` asks it."""
    heeds_autocast: ClassVar[bool] = False
    """Whether its operators take products as autocast asks; the others work in float32 inside it."""
    decides_by_kind: ClassVar[bool] = False
    """Whether `refusal` and `account` say the same of all problems of one `RecurrentProblem.kind`, so that they are not
    asked again; whether a batch is empty does not matter, since torch serves it."""

    @property
    def operator(self) -> Adjoint:
        """What runs a problem that its operators take."""
        return Operator(self.namespace, self.heeds_autocast)

    @abstractmethod
    def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
        """Why its operators do not run a problem whose field, hold and method the operators' schema takes, or None.

        Args:
            problem: the problem. It may be traced by torch.compile, and its weights may be mapped by vmap.
            asked: whether the engine was asked for, and not by "auto".
        """

    def account(self, problem: RecurrentProblem) -> str:
        """How its operators run a problem that it does not refuse, in words, for `Choice.reason`."""
        return "the kernels take field, method and state"

    def own_operator(self, problem: RecurrentProblem, *, asked: bool) -> Adjoint | str:
        """What runs a field or a method that the schema does not take, or why nothing here does."""
        return f"the {self.name} engine has no operator for a field of one's own"

    def in_parallel(self, problem: RecurrentProblem, adjoint: DiscreteAdjoint) -> tuple[DiscreteAdjoint, str] | str:
        """Such a problem's parallel form with what this engine does in it, and that in words; or why it does nothing.

        It is asked where it does not refuse the problem.
        """
        return f"the {self.name} engine has no part in the parallel form"

    def takes(self, storage: Storage) -> bool:
        """Whether sequences of several lengths go into one call of its operators."""
        return False

    def takes_stacked(self, state: Tensor, method: Method, groups: int, products: Products) -> bool:
        """Whether it runs networks of one architecture, their weights stacked, in one launch.

        Args:
            state: a tensor like one network's.
            method: the discretisation, of an exponential one without numbers.
            groups: entries of a unit's preactivation.
            products: of the program.
        """
        return False

    def stream(self, y: Tensor, *, asked: bool) -> Callable[[Call], Advance] | str:
        """What makes a call ready for one sample after the other, without gradients; or why there is nothing.

        Args:
            y: a tensor like the state.
            asked: as in `refusal`.
        """
        return f"the {self.name} engine runs whole sequences, not a sample at a time"
