"""What a command tells its user in one line, and the exit codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

OK = 0
FAILED = 1  # the work was done and did not succeed: a run diverged
MISUSED = 2  # asked for something that cannot be done; nothing was started
INTERRUPTED = 130  # by Ctrl-C, the number that shells give it


class UserError(Exception):
    """Something the user can mend. It is shown as one line, without a traceback."""


def nearest(text: str, names: Iterable[str]) -> str:
    """What to add to a message about a name that is not among `names`: the one that was meant, if any is near."""
    near = difflib.get_close_matches(text, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


class NonFiniteError(ArithmeticError):
    """A loss or the norm of a gradient stopped being finite; training does not continue with it."""

    @classmethod
    def at(cls, what: str, value: float, *, epoch: int, step: int) -> NonFiniteError:
        """The error for `what` at a step of an epoch, both counted from 1 (the step after the last one is its end)."""
        mend = "lower `optimizer.lr` or `model.dt`, raise `model.damping`, or clip with `trainer.gradient_clip`"
        return cls(f"{what} is {value} in epoch {epoch} at step {step}: {mend}")
