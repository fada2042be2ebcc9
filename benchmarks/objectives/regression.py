"""Numbers, for a sample or for each of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from benchmarks.objectives.metric import Metric
from benchmarks.objectives.objective import Objective, ReadFrom

MSE = Metric("mse", "mean squared error", "MSE", "min", style=".3g", table_style=".2g")


@final
@dataclass(frozen=True)
class Regression(Objective):
    """Squared error, the mean over `size` numbers.

    Targets are Float[Tensor, "batch size"], or Float[Tensor, "batch time size"] where the trajectory is read.
    """

    size: int = 1
    read_from: ReadFrom = "end"

    name: ClassVar[str] = "regression"
    loss_title: ClassVar[str] = "squared error"
    metrics: ClassVar[tuple[Metric, ...]] = (MSE,)

    @property
    def output_size(self) -> int:
        return self.size

    def score(
        self, output: Float[Tensor, "*items size"], target: Float[Tensor, "*items size"]
    ) -> dict[str, Float[Tensor, "*items"]]:
        if output.shape != target.shape:  # torch would broadcast one against the other
            raise ValueError(f"`target` has shape {tuple(target.shape)}; give that of the output, {(*output.shape,)}")
        error = (output - target).square().mean(-1)
        return {"loss": error, "mse": error.detach()}
