"""A comparison under the same weights in words, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.compare.columns import table_of
from benchmarks.compare.measure import Comparison
from benchmarks.compare.measured import Measured
from benchmarks.compare.pictures import drawings_of
from benchmarks.pages.document import Column, Document, Section, Table, words

LEAD = (
    "One trained network is a vector field; a scheme is how that field is stepped from sample to sample. Here the same "
    "weights run under many schemes. Nothing is trained again: a scheme near the one that the network was trained by, "
    "or near the flow if the network is, keeps its quality; one that is unstable at the network's modes loses it."
)
READING = (
    "The head of a column sorts by it. The first row is the scheme that the network was trained by.",
    "A network is trained with its scheme, so the weights fit that scheme's own error too: a scheme nearer to the flow "
    "can score less. The distance to the flow says how much of what the network computes is the differential equation, "
    "and how much the discretisation.",
    "The region is a statement about one step of the linearised field: outside of it a mode grows in that step. An "
    "activation that saturates may hold it all the same.",
)


def document_of(comparison: Comparison, origin: Mapping[str, str]) -> Document:
    """The page of a comparison.

    Args:
        comparison: what was measured.
        origin: where it is from.
    """
    sections = [
        Section("What came out", _summary(comparison)),
        Section("Every scheme", (), table_of(comparison)),
        *([Section("Left out", (), _left_out(comparison))] if comparison.left_out else []),
        Section("How to read it", READING),
        *(Section(each.title, (each.said,) if each.said else (), drawing=each) for each in drawings_of(comparison)),
    ]
    return Document(
        f"{comparison.subject.run.title}: {len(comparison.rows)} schemes, the same weights",
        LEAD,
        _facts(comparison) | dict(origin),
        sections,
    )


def _facts(comparison: Comparison) -> dict[str, str]:
    subject, reference = comparison.subject, comparison.reference
    metric = subject.objective.selector()
    scores = subject.result.scores
    trained = "" if scores is None else f", {metric.text(scores.val)} on validation, {metric.text(scores.test)} on test"
    part = {"train": "training", "val": "validation", "test": "test"}[subject.part]
    sequences, length, _ = reference.driven.x.shape
    commit = subject.result.commit.id
    by = "" if commit is None else f", trained at commit {commit[:12]}"
    solver, substeps = subject.own
    steps = "1 substep" if substeps == 1 else f"{substeps} substeps"
    result = subject.result
    return {
        "network": f"{subject.run.title}, seed {result.seed}: {result.field} by {solver}, dt {result.dt:g}, {steps} a "
        f"sample, {result.parameters:,} parameters; best epoch {result.best_epoch} of {result.epochs}{trained}{by}",
        "scored on": f"{subject.samples:,} samples of the {part} part, the first ones",
        "timed on": f"{comparison.batch} sequences of {subject.run.task.length:,} samples at once",
        "dynamics of": f"{sequences} sequences, their first {length:,} samples, float64 (Jacobian: the first sequence)",
        "reference": f"RK4 with {reference.substeps} substeps a sample; with half as many it is {reference.error:.1e} "
        "away",
        "energy": f"{subject.result.field} keeps none that is known, so there is no drift to show"
        if reference.held is None
        else "of the field under the mean input, from where the first sequence ends",
    }


def _summary(comparison: Comparison) -> list[str]:
    metric = comparison.subject.objective.selector()
    own, *others = comparison.rows
    good = [row for row in others if row.scores is not None]
    lost = [row.scheme.label for row in comparison.rows if row.scores is None]
    said = [f"Under its own scheme, {own.scheme.label}, the network has {_score(own, comparison)}."]
    if good:
        best = max(good, key=lambda row: metric.merit(row.scores[metric.name]) if row.scores else 0.0)
        said.append(f"Of the others {best.scheme.label} is best, with {_score(best, comparison)}.")
    near = min(comparison.rows, key=lambda row: row.dynamics.distance if row.dynamics.distance >= 0 else float("inf"))
    said.append(
        f"Nearest to the flow is {near.scheme.label}, {near.dynamics.distance:.2g} away; its own scheme is "
        f"{own.dynamics.distance:.2g} away."
    )
    if growing := 100 * comparison.reference.growing:
        said.append(
            f"The field itself makes {growing:.1f} % of its modes grow (a real part above zero), inside of no region "
            "but where a scheme damps what ought to grow."
        )
    if lost:
        said.append(f"These diverge: {', '.join(lost)}.")
    return [" ".join(said)]


def _score(row: Measured, comparison: Comparison) -> str:
    metric = comparison.subject.objective.selector()
    return "diverged" if row.scores is None else f"{metric.text(row.scores[metric.name])} ({metric.title})"


def _left_out(comparison: Comparison) -> Table:
    columns = [Column("scheme", "scheme", left=True, brief="scheme"), Column("reason", "why", left=True, brief="why")]
    return Table("left-out", columns, [(words(each.name), words(each.reason)) for each in comparison.left_out])
