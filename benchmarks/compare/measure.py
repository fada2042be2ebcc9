"""The measurements of a comparison, scheme by scheme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.compare.dynamics import Reference, look, make_reference
from benchmarks.compare.measured import Dynamics, Measured
from benchmarks.compare.schemes import LeftOut, Scheme
from benchmarks.compare.subject import Subject
from benchmarks.compare.timing import time_in_turn
from benchmarks.figures.evaluations import evaluations_a_step
from odernn import ODERNN
from solvers import ConvergenceError


@dataclass(frozen=True)
class Comparison:
    """One network under several schemes.

    Attributes:
        subject: the network and its data.
        rows: the schemes that take its field, its own first.
        left_out: the others, with the reason.
        reference: what the trajectories are held against.
        batch: sequences that are timed at once.
    """

    subject: Subject
    rows: Sequence[Measured]
    left_out: Sequence[LeftOut]
    reference: Reference
    batch: int


@dataclass(frozen=True)
class _Looked:
    """A scheme with what is known of it before it is timed."""

    scheme: Scheme
    rnn: ODERNN
    scores: dict[str, float] | None
    evaluations: float
    dynamics: Dynamics


def compare(
    subject: Subject,
    schemes: Sequence[Scheme],
    left_out: Sequence[LeftOut],
    *,
    length: int | None,
    repeats: int,
    tell: Callable[[str], None],
) -> Comparison:
    """Measures a network under several schemes.

    Args:
        subject: the network and its data.
        schemes: those that take its field.
        left_out: the others.
        length: samples of a sequence over which the dynamics are compared; all for None.
        repeats: of the timing.
        tell: what shows how far it is, a line a scheme.
    """
    reference = make_reference(subject, length, max(scheme.substeps for scheme in schemes))
    looked: list[_Looked] = []
    failed: list[LeftOut] = []
    for index, scheme in enumerate(schemes, start=1):
        tell(f"[{index}/{len(schemes)}] {scheme.label}")
        found = _look(subject, scheme, reference)
        if isinstance(found, LeftOut):
            failed.append(found)
        else:
            looked.append(found)
    tell(f"timing {len(looked)} schemes in turn")
    seconds = time_in_turn([each.rnn for each in looked], subject.x, repeats)
    rows = [
        Measured(
            scheme=each.scheme,
            engine=each.rnn.choice(subject.x).engine,
            evaluations=each.evaluations,
            scores=each.scores,
            seconds=times,
            dynamics=each.dynamics,
        )
        for each, times in zip(looked, seconds, strict=True)
    ]
    return Comparison(subject, rows, [*left_out, *failed], reference, len(subject.x))


def _look(subject: Subject, scheme: Scheme, reference: Reference) -> _Looked | LeftOut:
    """Looks at a scheme; an implicit one iterates without matrices, which is faster, where that converges."""
    reason = ""
    for way in dict.fromkeys((scheme.iterated, scheme)):
        try:
            return _try(subject, way, reference)
        except ConvergenceError as error:
            reason = str(error)
    return LeftOut(scheme.label, reason)


def _try(subject: Subject, scheme: Scheme, reference: Reference) -> _Looked:
    rnn = scheme.step(subject.rnn)
    return _Looked(
        scheme=scheme,
        rnn=rnn,
        scores=subject.score(rnn),
        evaluations=scheme.substeps * evaluations_a_step(scheme.step(reference.driven.rnn), reference.driven.x),
        dynamics=look(scheme, reference),
    )
