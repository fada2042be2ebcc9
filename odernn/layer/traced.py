"""Sequences of several lengths and with resets where torch traces, and neither lengths nor resets have values."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from solvers.extend import Save

from .integrator import Integrator
from .padded import Padded
from .ragged import Steps
from .rows import Rows
from .state import RecurrentState
from .stretches import run_stretches


def run_traced(
    layer: Integrator,
    data: Float[Tensor, "places features"],
    rows: Rows,
    steps: Steps,
    state: RecurrentState,
    *,
    save: Save,
    truncate: int | None,
    continues: bool,
) -> tuple[Float[Tensor, "places hidden"] | None, RecurrentState]:
    """Run a layer over a storage in a program that serves any lengths and resets.

    Args:
        layer: what runs them.
        data: the storage.
        rows: where the sequences lie in it; their lengths are a tensor.
        steps: the steps from sample to sample.
        state: before the first samples.
        save: "trajectory" or "end".
        truncate: samples between two places where gradients stop, or None.
        continues: whether the whole state at the end is asked for.

    Returns:
        The output in the storage, zero where there is no sample, or None; and the state at each end.

    Raises:
        ValueError: what the solver or the hold carries from sample to sample has no form that serves any of them.
    """
    if truncate is None and (continues or rows.resets is not None):
        run = run_stretches(layer, data, rows, steps, state, save)
        if run is not None:
            return run
    if continues:
        raise ValueError(f"lengths or resets beside a state as `y0`, while torch traces: {_WANTED}")
    if rows.resets is not None and not layer.hold.jumps:
        raise ValueError(f"`resets` with the hold {layer.hold}, while torch traces: {_WANTED}")
    return Padded(data, rows, steps, save, truncate).run(layer, state)


_WANTED = (
    "only an explicit one-step method with a zero-order hold on an engine's own operator takes these, as "
    "`ODERNN.choice` says of a call; call the layer outside of the program, as under torch.compiler.disable"
)
