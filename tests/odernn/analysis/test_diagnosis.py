"""A diagnosis names what is wrong, in numbers that are known beforehand, and what it offers does help."""

import re
from math import exp, sqrt

import pytest
import torch

from odernn import (
    ODERNN,
    AntisymmetricField,
    HamiltonianField,
    LinearAntisymmetricField,
    LipschitzField,
    NoisyField,
    UnstructuredField,
    VectorField,
)
from odernn.analysis import Diagnosis, diagnose, stability_margin
from solvers import (
    RK4,
    AdamsBashforth2,
    Euler,
    EulerMaruyama,
    ExponentialEuler,
    Heun,
    Leapfrog,
    LeapfrogMidpoint,
    ReversibleHeun,
    Solver,
)

DOUBLE = torch.float64


def rotations(*omegas: float, damping: float = 0.0) -> LinearAntisymmetricField:
    """A pair of units for each frequency."""
    size = 2 * len(omegas)
    field = LinearAntisymmetricField(1, size, damping=damping, dtype=DOUBLE)
    rows, columns = torch.triu_indices(size, size, offset=1)
    with torch.no_grad():
        for entry, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            field.recurrent.upper[entry] = omegas[row // 2] if row % 2 == 0 and column == row + 1 else 0.0
    return field


def quiet(field: VectorField, solver: Solver, dt: float, samples: int = 50) -> Diagnosis:
    size = field.input_size
    return diagnose(ODERNN(field, solver, dt=dt), torch.zeros(samples, 2, size, dtype=DOUBLE), show=False)


def test_some_modes_outside_rk4() -> None:
    """Of the frequencies 1, 2 and 4 at dt = 1, RK4 holds those below 2.83."""
    found = quiet(rotations(1.0, 2.0, 4.0), RK4(), 1.0)
    assert found.measures is not None
    assert found.measures.outside == pytest.approx(1 / 3)
    growth = abs(1 + 4j - 8 - 64j / 6 + 256 / 24)
    assert found.measures.growth == pytest.approx(growth)
    assert found.measures.decades == pytest.approx(50 * torch.tensor(growth).log10().item())
    assert found.measures.turning == pytest.approx(4.0)
    assert found.remedies.substeps == 2  # 4 / 2 is below 2.83
    assert found.remedies.solvers[0] == "ImplicitMidpoint"
    assert found.findings[0].startswith("dt 1 puts 33 % of the eigenvalues outside RK4's region")
    assert "ImplicitMidpoint holds them all; 2 substeps would do" in found.findings[0]


def test_the_damping_it_offers_to_euler_is_the_least() -> None:
    omega, dt = 2.0, 0.1
    field = rotations(omega)
    found = quiet(field, Euler(), dt)
    least = (1 - sqrt(1 - (dt * omega) ** 2)) / dt
    assert found.remedies.damping is not None
    assert least <= found.remedies.damping <= 1.1 * least  # two digits, rounded up
    assert found.remedies.substeps is None  # no step of Euler's holds a neutral mode
    assert "Kutta3 holds them all" in found.findings[0]
    mended = ODERNN(rotations(omega, damping=found.remedies.damping), Euler(), dt=dt)
    assert bool((stability_margin(mended, torch.zeros(5, 1, 1, dtype=DOUBLE)) >= 0).all())


def test_what_it_offers_to_a_nonlinear_network_helps() -> None:
    torch.manual_seed(0)
    field = AntisymmetricField(1, 16, sigma_w=2.0, dtype=DOUBLE)
    x = torch.randn(40, 3, 1, dtype=DOUBLE)
    found = diagnose(ODERNN(field, Euler(), dt=0.1), x, show=False)
    assert found.measures is not None
    assert found.measures.outside > 0.5
    assert found.remedies.damping is not None
    assert "RK4" in found.remedies.solvers
    assert not diagnose(ODERNN(field, RK4(), dt=0.1), x, show=False).findings
    field.damping = 1.2 * found.remedies.damping  # the states are others under it
    mended = diagnose(ODERNN(field, Euler(), dt=0.1), x, show=False)
    assert mended.measures is not None
    assert mended.measures.outside < 0.02


def test_modes_that_the_field_makes_grow_are_not_the_solvers_fault() -> None:
    torch.manual_seed(0)
    field = UnstructuredField(1, 16, sigma_w=2.0, dtype=DOUBLE)
    found = quiet(field, RK4(), 0.05)
    assert found.measures is not None
    eigenvalues = torch.linalg.eigvals(field.weight().detach())  # the state stays zero
    assert found.measures.growing == pytest.approx(float((eigenvalues.real > 0).double().mean()))
    assert found.measures.rate == pytest.approx(float(eigenvalues.real.max()))
    assert found.measures.outside == 0
    assert "the field itself makes these modes grow" in found.findings[0]


def test_gradients_that_vanish() -> None:
    found = quiet(rotations(1.0, damping=4.0), RK4(), 0.1)
    assert found.measures is not None
    assert found.measures.conditioning is not None
    # RK4 follows exp(-0.4) to 6e-5 a step.
    assert float(found.measures.conditioning.mean[0]) == pytest.approx(exp(-4.0 * 5), rel=0.01)
    assert [said.partition(":")[0] for said in found.findings] == ["gradients vanish"]


def test_gradients_that_explode() -> None:
    found = quiet(rotations(3.0), Euler(), 0.5)
    assert any(said.startswith("gradients explode: over 50 samples a direction grows") for said in found.findings)


def test_a_mode_that_the_step_does_not_resolve() -> None:
    found = quiet(rotations(1.0, 15.0), RK4(), 0.1)
    assert found.measures is not None
    assert found.measures.outside == 0
    assert found.findings[0].startswith("the largest |dt lambda| is 1.5")
    substeps = int(re.findall(r"(\d+) substeps would resolve it", found.findings[0])[0])
    assert 1.5 / substeps < 0.5


def test_a_state_that_stops_being_finite() -> None:
    found = quiet_diverging()
    assert found.measures is not None
    assert 0 < found.measures.samples < 400
    assert found.findings[0].startswith(f"the state stops being finite at sample {found.measures.samples} of 400")
    assert "outside Euler's region" in found.findings[1]


def quiet_diverging() -> Diagnosis:
    field = rotations(10.0)
    with torch.no_grad():
        field.input_map.weight.fill_(1.0)
    return diagnose(ODERNN(field, Euler(), dt=1.0), torch.ones(400, 2, 1, dtype=DOUBLE), show=False)


def test_a_first_sample_that_is_not_finite() -> None:
    rnn = ODERNN(AntisymmetricField(1, 4), Euler(), dt=0.1)
    found = diagnose(rnn, torch.full((5, 2, 1), float("nan")), show=False)
    assert found.measures is None
    assert found.findings == ("the state stops being finite at sample 0 of 5",)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE], ids=str)
@pytest.mark.parametrize(
    ("field", "solver"),
    [
        (AntisymmetricField(1, 32, sigma_w=2.0), RK4()),
        (AntisymmetricField(1, 32, sigma_w=2.0), LeapfrogMidpoint()),
        (AntisymmetricField(1, 32, sigma_w=2.0), ReversibleHeun()),
        (HamiltonianField(1, 32), Leapfrog()),
        (AntisymmetricField(1, 32, damping=0.5), AdamsBashforth2()),
    ],
    ids=["rk4", "leapfrog-midpoint", "reversible-heun", "leapfrog", "adams-bashforth2"],
)
def test_a_sound_network_has_no_findings(
    field: VectorField, solver: Solver, dtype: torch.dtype, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neutral methods on neutral modes: rounding in single precision is no fault of theirs."""
    torch.manual_seed(0)
    found = diagnose(ODERNN(field, solver, dt=0.05), torch.randn(30, 2, 1), dtype=dtype)
    assert found.findings == ()
    shown = capsys.readouterr().out
    assert shown == f"{found}\n"
    assert f"stepped by {type(solver).__name__}:\n- sound: over 30 samples" in shown


def test_silent_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    quiet(rotations(1.0), Heun(), 0.1)
    assert capsys.readouterr().out == ""


def test_it_takes_uneven_steps_and_noise() -> None:
    noisy = NoisyField(AntisymmetricField(1, 8, dtype=DOUBLE), additive=0.5)
    rnn = ODERNN(noisy, EulerMaruyama(), dt=0.1 + torch.rand(3, 12, dtype=DOUBLE), batch_first=True)
    found = diagnose(rnn, torch.randn(3, 12, 1, dtype=DOUBLE), show=False, sequences=2, times=5)
    assert found.measures is not None
    assert found.measures.samples == 12
    assert found.findings[0].startswith("the given dt puts")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"times": 0}, "`times` is 0"),
        ({"sequences": 0}, "`sequences` is 0"),
        ({"show": "no"}, "`show` is 'no'"),
        ({"rnn": 1}, "`rnn` is int"),
    ],
)
def test_bad_arguments_are_named(change: dict, said: str) -> None:
    arguments = {"rnn": ODERNN(AntisymmetricField(1, 4), Euler(), dt=0.1), "x": torch.zeros(5, 1, 1)} | change
    with pytest.raises((TypeError, ValueError), match=said):
        diagnose(**arguments)


def test_substeps_are_steps_of_the_solver() -> None:
    rnn = ODERNN(rotations(4.0), RK4(), dt=3.0, substeps=2)
    found = diagnose(rnn, torch.zeros(10, 1, 1, dtype=DOUBLE), show=False)
    assert found.measures is not None
    assert found.measures.steps == 20
    assert found.measures.turning == pytest.approx(6.0)
    assert found.remedies.substeps == 5  # 12 / 5 is below 2.83
    assert found.findings[0].startswith("dt 3 in 2 substeps puts 100 %")


def test_of_an_exponential_method_it_says_what_its_region_is_worth() -> None:
    field = LipschitzField(1, 8, damping=1.0, beta=1.0, beta_w=1.0, dtype=DOUBLE)
    found = quiet(field, ExponentialEuler(), 0.05)
    assert found.findings == ()
    assert "its region is that of the linear part" in str(found)
    assert "linear part" not in str(quiet(field, RK4(), 0.05))
