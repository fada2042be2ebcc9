"""The paper's Figure 2 without training: the moduli of the end-to-end Jacobian's eigenvalues against T and damping."""

import pytest
import torch

from odernn import AntisymmetricRNN
from odernn.analysis import conditioning, end_to_end_jacobian


@pytest.mark.parametrize(
    ("gamma", "length", "mean", "std"),
    [
        (0.0, 100, 1.013, 0.014),
        (0.0, 800, 1.114, 0.122),
        (0.01, 100, 1.005, 0.014),
        (0.01, 800, 1.045, 0.115),
        (0.1, 100, 0.934, 0.013),
        (0.1, 800, 0.581, 0.067),
        (1.0, 100, 0.441, 0.006),
        (1.0, 800, 0.001, 0.0002),
    ],
)
def test_moduli_of_an_untrained_network(gamma: float, length: int, mean: float, std: float) -> None:
    """The numbers are of a run of 64 units with sigma_w = 2 under a random drive whose size was not recorded.

    Eight inputs of N(0, 0.55^2) give the mean of gamma = 0 at T = 800; the other seven means and the spreads follow. A
    drive a tenth larger moves the means by up to 0.008 at T = 100 (of gamma = 1) and 0.01 at T = 800, and the spreads
    by an eighth; another draw of the weights moves them by 0.003 and 0.004.
    """
    means, stds = [], []
    for seed in range(2):
        torch.manual_seed(seed)
        rnn = AntisymmetricRNN(8, 64, epsilon=0.01, gamma=gamma, sigma_w=2).layers[0]
        found = conditioning(end_to_end_jacobian(rnn, 0.55 * torch.randn(length, 1, 8)))
        means.append(float(found.mean))
        stds.append(float(found.std))
    assert sum(means) / 2 == pytest.approx(mean, abs=0.01 if length == 100 else 0.015)
    assert sum(stds) / 2 == pytest.approx(std, rel=0.25, abs=0.001)
