"""A diagnosis in words: what is wrong, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from odernn import ODERNN

from .measures import Measures

FORGOTTEN, EXPLODED = 1e-3, 1e3
"""A gradient that shrinks or grows by more than this on its way through the sequence is reported."""

UNEVEN = 1e6
"""A condition number above this is reported: single precision has seven digits."""

UNRESOLVED = 1.0
"""A mode that turns or decays by more than this in a step, in radians or e-foldings, is reported as not resolved."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """What would hold the eigenvalues that the solver makes grow.

    Attributes:
        solvers: names of solvers that hold all of them with the same step, the cheapest first.
        substeps: how many substeps would do with the same solver, or None.
        damping: how much damping would do with the same solver and step, or None.
    """

    solvers: tuple[str, ...] = ()
    substeps: int | None = None
    damping: float | None = None


def findings(rnn: ODERNN, length: int, measures: Measures | None, remedies: Remedies) -> tuple[str, ...]:
    """The sentences, one a fault; none if nothing is wrong.

    Args:
        rnn: the layer.
        length: the samples that were asked for.
        measures: what was measured; None if not even the first sample gave a finite state.
        remedies: what would do.
    """
    return tuple(_findings(rnn, length, measures, remedies))


def _findings(rnn: ODERNN, length: int, measures: Measures | None, remedies: Remedies) -> Iterator[str]:
    samples = 0 if measures is None else measures.samples
    if samples < length:
        yield f"the state stops being finite at sample {samples} of {length}" + (
            "; what follows is of the samples before it" if samples else ""
        )
    if measures is None:
        return
    if measures.outside:
        yield _outside(rnn, measures, remedies)
    if measures.growing:
        yield (
            f"{_percent(measures.growing)} of the eigenvalues have a real part above zero, up to {measures.rate:.2g} "
            "per unit of time: the field itself makes these modes grow, whatever the solver; damping above that rate "
            "stops it, and an antisymmetric field has no such modes"
        )
    if measures.turning > UNRESOLVED:
        yield (
            f"the largest |dt lambda| is {measures.turning:.2g}: a step does not resolve the fastest mode, and the "
            f"network no longer follows its field there; {_more_substeps(rnn, measures)} substeps would resolve it"
        )
    yield from _of_gradients(measures)


def _outside(rnn: ODERNN, measures: Measures, remedies: Remedies) -> str:
    name = type(rnn.solver).__name__
    said = [
        f"{_step(rnn)} puts {_percent(measures.outside)} of the eigenvalues outside {name}'s region; the fastest of "
        f"them grows {_gain(measures.growth)} a step, {_fold(measures.decades)} in {measures.steps} steps"
    ]
    if remedies.solvers:
        said.append(f"{remedies.solvers[0]} holds them all")
    if remedies.substeps is not None:
        said.append(f"{remedies.substeps} substeps would do")
    if remedies.damping is not None:
        said.append(f"damping of {remedies.damping:.2g} would do")
    if len(said) == 1:
        said.append("no solver, number of substeps or damping that was tried holds them: use a smaller dt")
    return "; ".join(said)


def _of_gradients(measures: Measures) -> Iterator[str]:
    found = measures.conditioning
    over = f"over {measures.samples} samples"
    if found is None:
        yield f"the end-to-end Jacobian is not finite {over}: gradients explode beyond the dtype"
        return
    largest, ratio = float(found.singular_values.max()), float(found.condition_number.max())
    if largest < FORGOTTEN:
        yield (
            f"gradients vanish: {over} every direction shrinks to {largest:.1e} of its length or less; the network "
            "forgets its start: less damping, a smaller dt or a shorter input keeps it"
        )
    elif largest > EXPLODED:
        yield (
            f"gradients explode: {over} a direction grows {largest:.1e}-fold; use a smaller dt or sigma_w, more "
            "damping, a shorter input, or clip the gradient"
        )
    elif ratio > UNEVEN:
        yield f"the end-to-end Jacobian is ill conditioned, {ratio:.1e} {over}: it keeps some directions, loses others"


def _step(rnn: ODERNN) -> str:
    dt = f"dt {rnn.dt:.4g}" if isinstance(rnn.dt, float) else "the given dt"
    return dt if rnn.substeps == 1 else f"{dt} in {rnn.substeps} substeps"


def _more_substeps(rnn: ODERNN, measures: Measures) -> int:
    return int(rnn.substeps * measures.turning / (UNRESOLVED / 2)) + 1


def _percent(share: float) -> str:
    if share < 0.01:
        return "less than 1 %"
    return f"{100 * share:.0f} %"


def _gain(growth: float) -> str:
    return f"by {100 * (growth - 1):.2g} %" if growth < 2 else f"{growth:.3g}-fold"


def _fold(decades: float) -> str:
    return f"{10**decades:.3g}-fold" if decades < 6 else f"10^{decades:.0f}-fold"
