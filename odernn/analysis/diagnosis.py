"""What is wrong with a network along an input, in numbers and in words, and what would mend it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from odernn import ODERNN
from solvers import Need
from solvers.checks import check_count, check_flag

from .measures import Measures, measure, modes
from .remedies import find_remedies
from .subject import Subject, check_dtype, prepare
from .words import Remedies, findings

OF_LINEAR_PART = " (of an exponential method its region is that of the linear part; the Jacobian is of all)"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a network does along an input. As a string it is the findings, a line each.

    Attributes:
        network: the layer in a line.
        findings: what is wrong, a sentence each; empty if nothing is.
        measures: the numbers behind them; None if no sample gave a finite state.
        remedies: what would hold the eigenvalues that the solver makes grow.
        reservation: what is to be said against a sound network's eigenvalues; empty as a rule.
    """

    network: str
    findings: tuple[str, ...]
    measures: Measures | None
    remedies: Remedies
    reservation: str = ""

    def __str__(self) -> str:
        """The network, and what was found."""
        return "\n".join([f"{self.network}:", *(f"- {said}" for said in self.findings or (self._sound(),))])

    def _sound(self) -> str:
        assert self.measures is not None
        assert self.measures.conditioning is not None
        mean, std = self.measures.conditioning.mean.mean(), self.measures.conditioning.std.mean()
        return (
            f"sound: over {self.measures.samples} samples all eigenvalues lie inside the solver's region (|dt lambda| "
            f"up to {self.measures.turning:.2g}), and those of the end-to-end Jacobian have moduli of {mean:.3g} "
            f"± {std:.2g}{self.reservation}"
        )


def diagnose(
    rnn: ODERNN,
    x: Tensor,
    y0: Tensor | None = None,
    *,
    times: int = 16,
    sequences: int = 4,
    show: bool = True,
    dtype: torch.dtype | None = None,
) -> Diagnosis:
    """Say what is wrong with a network along an input, and what would mend it.

    It looks at the eigenvalues of df/dy against the solver's stability region, at modes that the field itself makes
    grow, at modes that the step does not resolve, and at the end-to-end Jacobian: do gradients vanish or explode. What
    it offers as a remedy is tried on the same states: another solver, more substeps, more damping.

    Args:
        rnn: the layer. It is not changed.
        x: the input as the layer takes it, in its layout: real data tell most.
        y0: the start as the layer takes it; zero if None.
        times: how many samples the eigenvalues are taken at, evenly spread.
        sequences: how many sequences of the batch are looked at, the first ones.
        show: print the diagnosis too.
        dtype: the dtype to compute in, such as torch.float64; None for the layer's own.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
        ConvergenceError: an implicit solver could not solve its equation.
    """
    check_dtype(dtype)
    check_count("times", times)
    check_count("sequences", sequences)
    check_flag("show", show)
    subject = prepare(rnn, x, y0, dtype)
    diagnosis = _diagnose(subject.part(subject.length, sequences), times)
    if show:
        print(diagnosis)
    return diagnosis


def _diagnose(subject: Subject, times: int) -> Diagnosis:
    rnn, finite = subject.rnn, _finite_samples(subject)
    measures, remedies = None, Remedies()
    if finite:
        sound = subject.part(finite, subject.batch)
        at = torch.linspace(0, finite - 1, min(times, finite)).round().int().tolist()
        found = modes(sound, at, rnn.field)
        measures = measure(sound, found)
        remedies = find_remedies(sound, at, found) if measures.outside else remedies
    said = findings(rnn, subject.length, measures, remedies)
    name = f"{type(rnn.field).__name__} stepped by {type(rnn.solver).__name__}"
    return Diagnosis(name, said, measures, remedies, OF_LINEAR_PART if rnn.solver.needs is Need.LINEAR_PART else "")


@torch.no_grad()
def _finite_samples(subject: Subject) -> int:
    """How many samples give finite states, from the first, in all sequences."""
    rnn = subject.rnn
    rnn.on_divergence = "ignore"
    trajectory, _ = rnn(subject.samples, subject.state.y.unsqueeze(0), dt=subject.dt)
    rnn.on_divergence = "raise"
    wrong = (~torch.isfinite(trajectory).flatten(1).all(dim=1)).nonzero()
    return int(wrong[0]) if len(wrong) else subject.length
