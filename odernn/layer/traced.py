"""Sequences of several lengths and with resets where torch traces, and neither lengths nor resets have values."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from .padded import run_padded
from .state import RecurrentState
from .stored_run import StoredRun
from .stretches import run_stretches


def run_traced(run: StoredRun, *, continues: bool) -> tuple[Float[Tensor, "places hidden"] | None, RecurrentState]:
    """Run a layer over a storage in a program that serves any lengths and resets.

    Args:
        run: what is asked.
        continues: whether the whole state at the end is asked for.

    Returns:
        The output in the storage, zero where there is no sample, or None; and the state at each end.

    Raises:
        ValueError: what the solver or the hold carries from sample to sample has no form that serves any of them.
    """
    resets, hold = run.rows.resets, run.layer.hold
    if run.truncate is None and (continues or resets is not None):
        found = run_stretches(run)
        if found is not None:
            return found
    if continues:
        raise ValueError(f"lengths or resets beside a state as `y0`, while torch traces: {_WANTED}")
    if resets is not None and not hold.jumps:
        raise ValueError(f"`resets` with the hold {hold}, while torch traces: {_WANTED}")
    return run_padded(run)


_WANTED = (
    "only an explicit one-step method with a zero-order hold on an engine's own operator takes these, as "
    "`ODERNN.choice` says of a call; call the layer outside of the program, as under torch.compiler.disable"
)
