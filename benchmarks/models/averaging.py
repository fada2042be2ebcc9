"""Running averages of the weights."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from benchmarks.settings.types import AverageSettings


def make_average(network: nn.Module, settings: AverageSettings) -> AveragedModel | None:
    """The average of a network's weights, which its first update begins; None if none is wanted.

    Source: Polyak & Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30 (1992);
    Izmailov et al., Averaging weights leads to wider optima and better generalization, UAI 2018, for swa. No network
    here has batch normalisation, whose statistics would have to be taken again.
    """
    if settings.kind == "none":
        return None
    function = get_ema_multi_avg_fn(settings.decay) if settings.kind == "ema" else get_swa_multi_avg_fn()
    average = AveragedModel(network, multi_avg_fn=function)
    average.requires_grad_(False)  # it is not trained, and processes that train together need not agree on it
    return average
