"""What happens when a state stops being finite: an error of its own, with the step, the time and the norm."""

from __future__ import annotations

import warnings
from cmath import isfinite
from typing import Literal

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from .adjoints.adjoint import Solved
from .checks import proxy_mode, unwrapped
from .loop import Problem, steps
from .solver import Carry

OnDivergence = Literal["raise", "warn", "ignore"]
"""What to do where a state stops being finite."""
POLICIES: tuple[OnDivergence, ...] = ("raise", "warn", "ignore")
"""All that there is of it."""


class DivergenceError(ArithmeticError):
    """The state of an integration stopped being finite.

    Attributes:
        step: the number of the first solver step with a state that is not finite, counted from 1; None if it could
            not be found again (a right-hand side that differs from call to call).
        time: the time at the end of that step, in the units of dt; None like `step`.
        norm: the largest Euclidean norm of a sample's state just before it; None like `step`.
    """

    def __init__(self, message: str, step: int | None, time: float | None, norm: float | None) -> None:
        super().__init__(message, step, time, norm)  # all of them: an exception is pickled by its `args`
        self.step = step
        self.time = time
        self.norm = norm

    def __str__(self) -> str:
        """The message."""
        return str(self.args[0])


class DivergenceWarning(RuntimeWarning):
    """The state of an integration stopped being finite, and the caller asked to be told, not stopped."""


def finite(y: Tensor, carry: Carry) -> Tensor:
    """Whether the state and the carry are finite: a bool tensor of shape (), on the device of `y`.

    Every method adds to the state of the step before, or of the one before that, which its carry keeps. So what is
    not finite once stays so, and the end shows it.
    """
    ok = torch.isfinite(y).all()
    for part in carry:
        if isinstance(part, Tensor):
            ok = ok & torch.isfinite(part).all()
    return ok


def check_divergence(problem: Problem, solved: Solved, policy: OnDivergence) -> None:
    """Raise or warn if `problem` diverged; if so, finds the step by going through it once more.

    Reads one value back from the device, after the loop; nothing if `policy` is "ignore". Where torch.compile traces
    the call, which allows no reading back, a diverged state stops the program with torch's own assertion.

    Raises:
        DivergenceError: the end is not finite, and `policy` is "raise".
    """
    if policy == "ignore":
        return
    if not torch.compiler.is_compiling() and _adds_up(solved.y, solved.carry):
        return
    ok = finite(solved.y, solved.carry)
    if torch.compiler.is_compiling():
        if policy == "raise":
            torch._assert_async(ok, "the state stopped being finite")  # pyright: ignore[reportPrivateImportUsage]
        return
    plain = unwrapped(ok) if torch._C._are_functorch_transforms_active() else ok
    if proxy_mode() is not None or plain.is_meta or isinstance(plain, FakeTensor) or bool(plain.all()):
        return
    error = _locate(problem) if plain is ok else _under_transforms(problem)
    if policy == "raise":
        raise error
    warnings.warn(str(error), DivergenceWarning, stacklevel=3)


def _adds_up(y: Tensor, carry: Carry) -> bool:
    """Whether the sum of all entries is finite, so that each of them is; false where no value can be read.

    It is one launch where to look at each is five. A sum may overflow: then they are looked at.
    """
    if (
        torch._C._are_functorch_transforms_active()
        or proxy_mode() is not None
        or y.is_meta
        or isinstance(y, FakeTensor)
    ):
        return False
    total = y.detach().sum()
    for part in carry:
        if isinstance(part, Tensor):
            total = total + part.detach().sum()
    return isfinite(total.item())


_ADVICE = "use a smaller dt, more substeps, damping or another solver, or look for input that is not finite"


@torch.no_grad()
def _locate(problem: Problem) -> DivergenceError:
    name = type(problem.solver).__name__
    norm = _norm(problem.y0)
    for step, (t, y, _) in enumerate(steps(problem), start=1):
        if not bool(torch.isfinite(y).all()):
            time = float(t.flatten()[0] if isinstance(t, Tensor) else t)
            where = f"at step {step} (t = {time:.6g}); the norm of the state before it was {norm:.6g}"
            return DivergenceError(f"{name} diverged {where}: {_ADVICE}", step, time, norm)
        norm = _norm(y)
    return DivergenceError(
        f"{name} diverged; a second run did not, so the step is unknown: {_ADVICE}", None, None, None
    )


def _under_transforms(problem: Problem) -> DivergenceError:
    """Under vmap a state cannot be looked at step by step."""
    name = type(problem.solver).__name__
    return DivergenceError(f"{name} diverged under a transform of torch.func: {_ADVICE}", None, None, None)


def _norm(y: Tensor) -> float:
    """The largest norm of a sample; in float64, since squares of a large float32 overflow."""
    size = torch.atleast_1d(y.abs().cpu().double())
    return float(torch.linalg.vector_norm(size, dim=-1).max())
