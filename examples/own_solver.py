"""A solver of one's own: a tableau in ten lines, its order measured on a network, and its gradients the engine's."""

from math import log2
from typing import final

import torch

from odernn import ODERNN, AntisymmetricField
from solvers import ButcherTableau, ExplicitRungeKutta


@final
class StrongStabilityRK3(ExplicitRungeKutta):
    """Three stages, order 3, each a convex combination of Euler steps.

    Source: Shu & Osher, Efficient implementation of essentially non-oscillatory shock-capturing schemes, J. Comput.
    Phys. 77 (1988), eq. (2.18).
    """

    tableau = ButcherTableau(order=3, a=((), (1,), (1 / 4, 1 / 4)), b=(1 / 6, 1 / 6, 2 / 3), c=(0, 1, 1 / 2))


def main(samples: int = 8) -> float:
    """Halve the step and see the error fall: its logarithm to base 2 is the order."""
    torch.manual_seed(0)
    field = AntisymmetricField(2, 16, damping=0.01, dtype=torch.float64)
    x = torch.randn(samples, 4, 2, dtype=torch.float64)
    exact = ODERNN(field, "rk4", dt=0.5, substeps=64)(x, save="end")[1]
    errors = []
    for substeps in (4, 8):
        rnn = ODERNN(field, StrongStabilityRK3(), dt=0.5, substeps=substeps)
        errors.append(float((rnn(x, save="end")[1] - exact).norm().detach()))
    order = log2(errors[0] / errors[1])
    print(f"errors {errors[0]:.2e} and {errors[1]:.2e}: order {order:.2f}, run by {rnn.choice(x).engine}")
    return order


if __name__ == "__main__":
    main()
