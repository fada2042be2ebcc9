"""What the suite found, in words, tables and a picture."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.objectives.classification import ACCURACY
from benchmarks.pages.document import Cell, Column, Document, Section, Table, number, words
from benchmarks.robustness.measure import Robustness, Row
from benchmarks.robustness.picture import draw_levels
from benchmarks.robustness.suite import Perturbation, Suite
from benchmarks.robustness.trained import Trained

LEAD = (
    "Trained networks on perturbed test images, each under the scheme that it was trained by and, with the same "
    "weights, under others. The noise at a level is the same for every network. Adversarial perturbations follow the "
    "gradient of the very network and scheme that they are tried on."
)
OWN = "own"


def document_of(found: Robustness, origin: Mapping[str, str]) -> Document:
    """The page of the suite.

    Args:
        found: what was measured.
        origin: where it is from.
    """
    suite = found.suite
    sections = [
        Section("What came out", _summary(found)),
        Section("Areas", (_explain_area(),), _areas(found)),
        *(Section(each.kind, (each.said,), _levels(found, each)) for each in suite.perturbations.values()),
        *([Section("Left out", (), _left_out(found))] if found.left_out else []),
        Section("Accuracy against level", (), drawing=draw_levels(found)),
    ]
    return Document(f"Robustness: {suite.title}", LEAD, _facts(found) | dict(origin), sections)


def _explain_area() -> str:
    return (
        "The area under accuracy against level, from level zero to the largest, by the trapezoidal rule and divided by "
        "the largest level: the mean accuracy over the range, in per cent."
    )


def _names() -> list[Column]:
    return [
        Column("run", "run", left=True, brief="run"),
        Column("scheme", "scheme", "What steps the network from pixel to pixel.", left=True, brief="scheme"),
        Column("trained_by", "trained by", "The scheme that the network was trained by.", left=True),
    ]


def _named(row: Row) -> list[Cell]:
    return [words(row.trained.label), words(row.scheme), words(OWN if row.own else "")]


def _areas(found: Robustness) -> Table:
    suite = found.suite
    kinds = list(suite.perturbations.values())
    columns = [
        *_names(),
        Column("clean", "clean", "Accuracy without a perturbation, in per cent.", brief="clean"),
        *(Column(each.kind, each.kind, brief=each.kind) for each in kinds),
        Column("overall", "overall", "The mean of the areas.", brief="overall"),
    ]
    rows = [
        [*_named(row), _share(row.clean), *(_share(row.area(each)) for each in kinds), _share(row.overall(suite))]
        for row in found.rows
    ]
    return Table("areas", columns, rows)


def _levels(found: Robustness, perturbation: Perturbation) -> Table:
    heads = [f"{perturbation.symbol} {level:g}" for level in perturbation.levels]
    columns = [
        *_names(),
        Column("clean", "clean", brief="clean"),
        *(Column(f"level_{level:g}", head, brief=head) for level, head in zip(perturbation.levels, heads, strict=True)),
        Column("area", "area", brief="area"),
    ]
    rows = [
        [
            *_named(row),
            _share(row.clean),
            *map(_spread, row.found[perturbation.kind]),
            _share(row.area(perturbation)),
        ]
        for row in found.rows
    ]
    return Table(perturbation.kind, columns, rows)


def _share(value: float) -> Cell:
    return number(ACCURACY.factor * value, ".1f")


def _spread(draws: Sequence[float]) -> Cell:
    """The mean over the draws in per cent, shown with their standard deviation where there are several."""
    mean = ACCURACY.factor * statistics.fmean(draws)
    if len(draws) == 1:
        return number(mean, ".1f")
    return Cell(mean, f"{mean:.1f} ± {ACCURACY.factor * statistics.stdev(draws):.1f}")


def _left_out(found: Robustness) -> Table:
    columns = [Column("scheme", "scheme", left=True, brief="scheme"), Column("reason", "why", left=True, brief="why")]
    return Table("left-out", columns, [(words(each.name), words(each.reason)) for each in found.left_out])


def _facts(found: Robustness) -> dict[str, str]:
    suite = found.suite
    runs = {row.trained.label: row.trained for row in found.rows}
    return {
        "suite": f"{suite.title}: {suite.draws} draws of each random perturbation, one of an adversarial one; "
        f"projected gradient descent with {suite.pgd_steps} steps of {suite.pgd_share:g} of the level",
        "counted as wrong": "an output that is not finite, as of a scheme that is unstable at the network's modes",
        "levels": "this suite's own; docs/robustness.md says what of the published protocol is unverified",
        **{label: _about(trained) for label, trained in runs.items()},
    }


def _about(trained: Trained) -> str:
    result = trained.result
    scores = result.scores
    test = "" if scores is None else f", {ACCURACY.text(scores.test)} on all test images"
    commit = "" if result.commit.id is None else f", trained at commit {result.commit.id[:12]}"
    return (
        f"{result.title}, seed {result.seed}, {result.parameters:,} parameters{test}{commit}; scored on the first "
        f"{trained.images.count:,} of {len(trained.images.sequences):,} test images; weights {trained.digest}"
    )


def _summary(found: Robustness) -> list[str]:
    said = []
    for label in dict.fromkeys(row.trained.label for row in found.rows):
        own, *others = [row for row in found.rows if row.trained.label == label]
        said.append(_compare(label, own, others, found.suite))
    return said


def _compare(label: str, own: Row, others: Sequence[Row], suite: Suite) -> str:
    said = f"{label}: {_percent(own.clean)} clean and {_percent(own.overall(suite))} over all under {own.scheme}"
    if not others:
        return f"{said}."
    shown = ", ".join(f"{_percent(row.clean)} and {_percent(row.overall(suite))} under {row.scheme}" for row in others)
    return f"{said}; with the same weights {shown}."


def _percent(value: float) -> str:
    return f"{ACCURACY.factor * value:.1f} %"
