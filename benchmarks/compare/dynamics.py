"""What a scheme does to a network's trajectories: distance to the flow, stability, gradients, energy. In float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from benchmarks.compare.measured import Dynamics
from benchmarks.compare.schemes import Scheme
from benchmarks.compare.subject import Subject
from benchmarks.figures.energies import STEPS, Held, energies, flow_energies, hold
from benchmarks.figures.networks import Driven
from benchmarks.figures.regions import INSIDE, modes
from odernn import ODERNN
from odernn.analysis import Conditioning, conditioning, end_to_end_jacobian
from solvers import RK4, DivergenceError

FINER = 32
"""Substeps of the reference, RK4, for each of the finest scheme that is compared."""

SEQUENCES, TIMES = 2, 8
"""Where the spectrum is taken: the first sequences, at samples evenly spread."""


@dataclass(frozen=True)
class Reference:
    """What every scheme is held against.

    Attributes:
        driven: the network in float64 under its own scheme, and what drives it.
        trajectory: of the flow, by RK4 in very short steps.
        substeps: how many of them a sample.
        error: of the reference, by comparison with steps twice as long; relative.
        z: eigenvalues of df/dy along the network's own trajectory times the time between samples.
        growing: the share of them whose real part is above zero: the field itself makes their modes grow.
        held: the network under a constant input; None where its field keeps no energy that is known.
        energy: of the flow under it.
    """

    driven: Driven
    trajectory: Float[Tensor, "batch time hidden"]
    substeps: int
    error: float
    z: Complex[Tensor, " modes"]
    growing: float
    held: Held | None
    energy: Float[Tensor, " time"] | None


@torch.no_grad()
def make_reference(subject: Subject, length: int | None, finest: int) -> Reference:
    """The reference for a network.

    Args:
        subject: the network, with its sequences.
        length: samples of them to look at; all for None.
        finest: the most substeps of a scheme that is compared.
    """
    rnn, x = subject.double(), subject.x[:, :length].double()
    driven = Driven(subject.run.title, rnn, x)
    substeps = FINER * finest
    coarse, fine = (_trajectory(Scheme("rk4", RK4(), count).step(rnn), x) for count in (substeps // 2, substeps))
    held = _held(driven)
    z = modes(driven, SEQUENCES, TIMES)
    return Reference(
        driven=driven,
        trajectory=fine,
        substeps=substeps,
        error=_relative(coarse, fine),
        z=rnn.substeps * z,
        growing=float((z.real > 0).double().mean()),
        held=held,
        energy=None if held is None else flow_energies(held),
    )


def look(scheme: Scheme, reference: Reference) -> Dynamics:
    """What a scheme does.

    Raises:
        ConvergenceError: an implicit scheme could not solve its equation.
    """
    rnn = scheme.step(reference.driven.rnn)
    with torch.no_grad():
        distance = _relative(_trajectory(rnn, reference.driven.x), reference.trajectory)
    gains = scheme.solver.amplification(reference.z / scheme.substeps)
    found = _conditioning(rnn, reference.driven.x[:1])
    return Dynamics(
        distance=distance,
        inside=float((gains <= 1 + INSIDE).double().mean()),
        growth=float(gains.max()),
        condition=None if found is None else float(found.condition_number.max()),
        stretch=None if found is None else float(found.singular_values.max()),
        moduli=None if found is None else found.moduli[0],
        drift=_drift(scheme, reference),
    )


def _trajectory(rnn: ODERNN, x: Tensor) -> Tensor:
    trajectory, _ = rnn(x)
    return trajectory


def _relative(found: Tensor, reference: Tensor) -> float:
    return float(torch.linalg.vector_norm(found - reference) / torch.linalg.vector_norm(reference))


def _conditioning(rnn: ODERNN, x: Tensor) -> Conditioning | None:
    """The conditioning of the end-to-end Jacobian; None where it is not finite."""
    try:
        return conditioning(end_to_end_jacobian(rnn, x))
    except (ValueError, DivergenceError):
        return None


def _held(driven: Driven) -> Held | None:
    """The network under a constant input; None where its field keeps no energy that is known."""
    try:
        return hold(driven, STEPS)
    except ValueError:
        return None


def _drift(scheme: Scheme, reference: Reference) -> float | None:
    held, flow = reference.held, reference.energy
    if held is None or flow is None:
        return None
    found = energies(held, scheme.solver, substeps=scheme.substeps)
    return None if found is None else float(((found - flow).abs() / flow[0]).max())
