"""One sample of a layer at a time, with gradients, as torch.nn.RNNCell takes them."""

from __future__ import annotations

from torch import Tensor

from ..control.time_grid import Step
from .inputs import check_finite_input, sample
from .integrator import Integrator
from .starts import cell_state
from .state import RecurrentState
from .timing import Timing, steps


def take_step(
    layer: Integrator, x: Tensor, state: Tensor | RecurrentState | None, dt: Step | None, *, check_input: bool
) -> tuple[Tensor, Tensor | RecurrentState]:
    """What `ODERNN.step` does and returns.

    Args:
        layer: what takes the step.
        x: the sample.
        state: before it.
        dt: the step, or None for the layer's own.
        check_input: refuse a sample that is not finite.

    Raises:
        TypeError, ValueError, DivergenceError: as `ODERNN.forward`.
    """
    samples = sample(x, layer.field).unsqueeze(0)
    if check_input:
        check_finite_input(samples)
    before = cell_state(state, samples, layer.field, layer.made_by)
    before, step = steps(layer.dt, Timing(dt), 1, before, True, layer.on_divergence)
    _, after = layer.advance(samples, before, step, "end", layer.on_divergence)
    y = (after.y if x.ndim == 2 else after.y[0]).clone()
    return y, y if isinstance(state, Tensor) else after
