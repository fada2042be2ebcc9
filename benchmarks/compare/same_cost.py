"""A comparison at the same cost of training in words, tables and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.compare.plan import Mode
from benchmarks.compare.training import Trained, Training
from benchmarks.objectives import Metric
from benchmarks.pages.document import Cell, Column, Document, Drawing, Section, Table, number, whole, words
from benchmarks.report.table import format_seconds
from benchmarks.support.plotting import clear_frame, log_ticks, new_figure, signs

LEAD = (
    "A run is trained by each of several schemes, all else equal: the same field, initial weights, data, order and "
    "optimizer. Each trains for as many whole epochs as cost no more than the run's own scheme costs in its epochs."
)
READING = (
    "The schedule of the learning rate spans each run's own epochs, so the last point of a curve is what the budget "
    "buys, and a point before it is not what a smaller budget would.",
    "Evaluations are those of the forward passes of training; where a scheme iterates they are counted at the start. "
    "Backward passes cost in proportion. Time was measured before the first run, a training step of every scheme in "
    "turn; what a run took includes validation, and whatever else the machine did.",
)
SAME: Mapping[Mode, str] = {"equal-time": "time", "equal-evaluations": "evaluations of the field"}


def document_of(training: Training, origin: Mapping[str, str]) -> Document:
    """The page of a comparison.

    Args:
        training: what was trained.
        origin: where it is from.
    """
    left_out = [(words(each.name), words(each.reason)) for each in training.left_out]
    columns = [Column("scheme", "scheme", left=True, brief="scheme"), Column("reason", "why", left=True, brief="why")]
    curves = draw_curves(training)
    sections = [
        Section("What came out", _summary(training)),
        Section("Every scheme", (), _table(training)),
        *([Section("Left out", (), Table("left-out", columns, left_out))] if left_out else []),
        Section("Learning curves", (), drawing=curves),
        Section("How to read it", READING),
        Section("Every epoch", (), _epochs(training)),
    ]
    title = f"{training.spec.settings.title}, {training.spec.name}: trained with the same {SAME[training.plan.mode]}"
    return Document(title, LEAD, _facts(training) | dict(origin), sections)


def draw_curves(training: Training) -> Drawing:
    """The metric on validation data against seconds and against evaluations, a line a scheme."""
    metric = training.task.objective.selector()
    figure = new_figure((12.0, 4.6))
    pair = figure.subplots(1, 2, sharey=True)
    for run, (colour, marker) in zip(training.runs, signs(), strict=False):
        values = [metric.factor * row.val[metric.name] for row in run.result.history]
        for axes, work in zip(pair, (run.seconds, run.evaluations), strict=True):
            axes.plot(work, values, color=colour, marker=marker, markersize=5, label=run.scheme.label)
    for axes, work in zip(pair, ("seconds, training and validation", "evaluations of the field"), strict=True):
        axes.set_xlabel(work)
        log_ticks(axes)
        clear_frame(axes)
    pair[0].set_ylabel(f"validation {metric.label}")
    if metric.better == "min":
        pair[0].set_yscale("log")
    figure.legend(*pair[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize="small")
    title = (
        f"{training.spec.settings.title}, {training.spec.name}: the same {SAME[training.plan.mode]} for every scheme"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    return Drawing("curves", "Learning curves against seconds and against evaluations", figure)


def _facts(training: Training) -> dict[str, str]:
    spec, plan = training.spec, training.plan
    budget = format_seconds(plan.budget) if plan.mode == "equal-time" else f"{plan.budget:.3g} evaluations of the field"
    variants = "".join(f" ({variant})" for variant in training.task.variants)
    return {
        "run": f"{spec.name}{variants}, seed {spec.settings.seed}",
        "budget": f"{budget}: {spec.settings.epochs} epochs by {training.runs[0].scheme.label}, the run's own scheme",
    }


def _summary(training: Training) -> list[str]:
    metric = training.task.objective.selector()
    good = [(run, run.result.scores) for run in training.runs]
    scored = [(run, scores.val) for run, scores in good if scores is not None]
    lost = [run.scheme.label for run, scores in good if scores is None]
    said = []
    if scored:
        best, value = max(scored, key=lambda pair: metric.merit(pair[1]))
        said.append(f"Best on validation data is {best.scheme.label}, with {metric.text(value)} ({metric.title}).")
    if lost:
        said.append(f"These diverged: {', '.join(lost)}.")
    return [" ".join(said)]


def _table(training: Training) -> Table:
    metric, plan = training.task.objective.selector(), training.plan
    columns = [
        Column("scheme", "scheme", left=True, brief="scheme"),
        Column("epochs", "epochs", brief="epochs"),
        Column(
            "planned",
            "planned (% of the budget)",
            "By the costs that were measured before the first run.",
            brief="planned %",
        ),
        Column("seconds", "took (s)", "Training and validation.", brief="took s"),
        Column("evaluations", "evaluations", "Of the field, in the forward passes of training.", brief="evals"),
        Column("validation", f"validation {metric.label}", "Of the best epoch.", brief="validation"),
        Column("test", f"test {metric.label}", "Of that epoch's weights, evaluated once.", brief="test"),
    ]
    rows = [_row(run, metric, plan.costs[run.scheme.label].by(plan.mode) / plan.budget) for run in training.runs]
    return Table("training", columns, rows)


def _row(run: Trained, metric: Metric, share: float) -> Sequence[Cell]:
    result, scores = run.result, run.result.scores
    lost = "diverged" if scores is None else ""
    return (
        words(run.scheme.label),
        whole(result.epochs),
        number(100 * share * result.epochs, ".0f"),
        number(result.seconds.training, ".1f"),
        number(run.cost.evaluations * len(result.history), ".3g"),
        number(None if scores is None else metric.factor * scores.val, metric.style, lost),
        number(None if scores is None else metric.factor * scores.test, metric.style, lost),
    )


def _epochs(training: Training) -> Table:
    metric = training.task.objective.selector()
    columns = [
        Column("scheme", "scheme", left=True),
        Column("epoch", "epoch"),
        Column("seconds", "seconds"),
        Column("evaluations", "evaluations"),
        Column("training_loss", "training loss"),
        Column("validation_loss", "validation loss"),
        Column("validation", f"validation {metric.label}"),
    ]
    rows = [
        (
            words(run.scheme.label),
            whole(row.epoch),
            number(seconds, ".1f"),
            number(evaluations, ".3g"),
            number(row.train["loss"], ".4g"),
            number(row.val["loss"], ".4g"),
            number(metric.factor * row.val[metric.name], metric.style),
        )
        for run in training.runs
        for row, seconds, evaluations in zip(run.result.history, run.seconds, run.evaluations, strict=True)
    ]
    return Table("epochs", columns, rows)
