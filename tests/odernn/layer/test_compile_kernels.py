"""Law: `compile_kernels` builds where the engines have no operators for a layer as it is, and only there."""

import pytest
import torch
from torch import Tensor

from odernn import (
    ODERNN,
    AntisymmetricField,
    GatedOscillatorField,
    HamiltonianField,
    LEMField,
    OscillatorField,
    VectorField,
)

ROWS = torch.full((3, 5), 0.1)
STEPS: dict[str, float | Tensor] = {"number": 0.1, "()": torch.tensor(0.1), "(time,)": ROWS[0], "(batch, time)": ROWS}


class Own(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.sin(p + u) - y


BUILT: list[tuple[type[VectorField], str, set[str]]] = [
    (AntisymmetricField, "rk4", set()),
    (HamiltonianField, "leapfrog", set()),
    (OscillatorField, "euler", set()),
    (GatedOscillatorField, "rk4", {"(batch, time)"}),  # its blocks are one set of matrices for all rows
    (GatedOscillatorField, "adams-bashforth2", set(STEPS)),
    (LEMField, "symplectic-euler", set(STEPS)),  # its `pointwise` sees the state
    (Own, "euler", set(STEPS)),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("cls", "solver", "wanted"), BUILT)
def test_what_is_built(
    cls: type[VectorField], solver: str, wanted: set[str], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[VectorField, bool]] = []
    monkeypatch.setattr("odernn.layer.odernn.compile_kernels", lambda field, *, wait: built.append((field, wait)))
    field = cls(2, 4)
    ODERNN(field, solver, dt=STEPS[step]).compile_kernels(wait=False)
    assert built == ([(field, False)] if step in wanted else [])
