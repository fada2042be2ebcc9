"""Objectives: losses and metrics against closed forms, means over what counts, and who selects."""

import math

import pytest
import torch
import torch.nn.functional as F

from benchmarks.models.means import RunningMeans, masked_mean
from benchmarks.objectives import (
    OBJECTIVES,
    Classification,
    Metric,
    NextToken,
    Objective,
    Regression,
    UnbalancedClassification,
)

EXAMPLES = [
    Classification(5),
    Classification(5, "trajectory"),
    UnbalancedClassification(5),
    UnbalancedClassification(5, "trajectory"),
    Regression(2),
    Regression(2, "trajectory"),
    NextToken(7),
]


def example(objective: Objective, batch: int = 4, time: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """A random output and a random target."""
    items = (batch,) if objective.read_from == "end" else (batch, time)
    output = torch.randn(*items, objective.output_size, dtype=torch.float64, requires_grad=True)
    if isinstance(objective, Regression):
        return output, torch.randn(*items, objective.output_size, dtype=torch.float64)
    return output, torch.randint(objective.output_size, items)


def test_the_registry_names_its_classes() -> None:
    assert {type(objective) for objective in EXAMPLES} == set(OBJECTIVES.values())
    assert all(objective.name == name for name, objective in OBJECTIVES.items())


@pytest.mark.parametrize("objective", EXAMPLES, ids=str)
def test_scores_are_the_loss_and_the_metrics_of_each_item(objective: Objective) -> None:
    output, target = example(objective)
    scores = objective.score(output, target)
    means = {name: values.mean().item() for name, values in scores.items()}
    assert list(objective.summarise(means)) == ["loss", *(metric.name for metric in objective.metrics)]
    assert {values.shape for values in scores.values()} == {output.shape[:-1]}
    assert [name for name, values in scores.items() if values.requires_grad] == ["loss"]


@pytest.mark.parametrize("objective", EXAMPLES, ids=str)
def test_an_item_is_scored_by_itself(objective: Objective) -> None:
    output, target = example(objective)
    whole, part = objective.score(output, target), objective.score(output[2:3], target[2:3])
    for name in whole:
        assert torch.equal(whole[name][2:3], part[name])


def test_classification_is_torch_cross_entropy_and_the_share_of_right_answers() -> None:
    output, target = example(Classification(5), batch=50)
    scores = Classification(5).score(output, target)
    # The same sum in another order, in float64.
    torch.testing.assert_close(scores["loss"].mean(), F.cross_entropy(output, target), rtol=1e-12, atol=0)
    assert scores["accuracy"].mean().item() == pytest.approx((output.argmax(-1) == target).double().mean().item())


def test_knowing_nothing_costs_the_logarithm_of_the_number_of_answers() -> None:
    output = torch.zeros(3, 4, 8, dtype=torch.float64)
    target = torch.randint(8, (3, 4))
    # Rounding of one logarithm in float64.
    assert Classification(8, "trajectory").score(output, target)["loss"].mean().item() == pytest.approx(math.log(8))
    assert NextToken(8).score(output, target)["bits"].mean().item() == pytest.approx(3.0)


def test_balanced_accuracy_is_the_mean_recall_and_the_majority_rate_that_of_one_answer() -> None:
    # 6 of class 0, all right; 2 of class 1, one right; 2 of class 3, none; classes 2 and 4 are not there.
    target = torch.tensor([0] * 6 + [1] * 2 + [3] * 2)
    answers = torch.tensor([0] * 6 + [1, 0] + [0, 4])
    objective, means = UnbalancedClassification(5), RunningMeans()
    for rows in (slice(0, 3), slice(3, 10)):  # of which no batch has the shares of the whole
        means.add(objective.score(F.one_hot(answers, 5).double()[rows], target[rows]))
    found = objective.summarise(means.close())
    del found["loss"]
    # Rounding of a few sums in float64.
    assert found == pytest.approx({"accuracy": 0.7, "balanced_accuracy": (1 + 0.5 + 0) / 3, "majority_rate": 0.6})


def test_with_equally_frequent_classes_balanced_accuracy_is_accuracy() -> None:
    target = torch.arange(5).repeat(8)
    objective, means = UnbalancedClassification(5), RunningMeans()
    means.add(objective.score(torch.randn(40, 5, dtype=torch.float64), target))
    found = objective.summarise(means.close())
    # Rounding, as above.
    assert found["balanced_accuracy"] == pytest.approx(found["accuracy"])
    assert found["majority_rate"] == pytest.approx(0.2)


def test_regression_is_the_squared_error() -> None:
    scores = Regression(2).score(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]]))
    assert scores["loss"].tolist() == scores["mse"].tolist() == [2.5]


def test_regression_does_not_broadcast_a_target_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"`target` has shape \(4,\); give that of the output, \(4, 1\)"):
        Regression(1).score(torch.zeros(4, 1), torch.zeros(4))


def test_what_is_masked_out_does_not_count_in_loss_gradient_and_means() -> None:
    objective = Classification(5, "trajectory")
    output, target = example(objective)
    mask = torch.rand(4, 3) < 0.5
    mask[0, 0], mask[0, 1] = True, False
    wild = output.detach().clone()
    wild[~mask] = torch.inf  # a loss that is nan
    wild.requires_grad_()
    scores, counted = objective.score(wild, target), objective.score(output[mask], target[mask])
    loss = masked_mean(scores["loss"], mask)
    # The same numbers summed in another order, in float64.
    torch.testing.assert_close(loss, counted["loss"].mean(), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(loss, scores["loss"], retain_graph=True)
    assert torch.equal(gradient != 0, mask)
    means = RunningMeans()
    means.add(scores, mask)
    assert means.close() == pytest.approx({name: values.mean().item() for name, values in counted.items()})


def test_means_weigh_every_item_the_same_in_batches_of_any_size() -> None:
    values, mask = torch.rand(10, 3, dtype=torch.float64), torch.rand(10, 3) < 0.3
    mask[9] = True
    for masks in (None, mask):
        means = RunningMeans()
        for rows in (slice(0, 4), slice(4, 9), slice(9, 10)):
            means.add({"loss": values[rows]}, None if masks is None else masks[rows])
        assert means.close()["loss"] == pytest.approx(masked_mean(values, masks).item())
        means.add({"loss": values[:1]})
        assert means.close()["loss"] == pytest.approx(values[:1].mean().item())  # of the new epoch only


def test_the_first_metric_selects_and_the_loss_decides_between_equals() -> None:
    merit = Classification.merit
    assert merit({"accuracy": 0.9, "loss": 5.0}) > merit({"accuracy": 0.8, "loss": 1.0})
    assert merit({"accuracy": 0.9, "loss": 1.0}) > merit({"accuracy": 0.9, "loss": 2.0})
    assert Regression.merit({"mse": 0.1, "loss": 0.1}) > Regression.merit({"mse": 0.2, "loss": 0.2})
    better, worse = {"bits": 1.4, "accuracy": 0.5, "loss": 1.0}, {"bits": 1.6, "accuracy": 0.6, "loss": 1.1}
    assert NextToken.merit(better) > NextToken.merit(worse)


@pytest.mark.parametrize(
    ("objective", "value", "text", "cell", "label"),
    [
        (Classification, 0.97314, "97.31 %", "97.3", "accuracy (%)"),
        (Regression, 0.0012345, "0.00123 MSE", "0.0012", "mean squared error (MSE)"),
        (NextToken, 1.60249, "1.602 bits a character", "1.602", "cross-entropy (bits a character)"),
    ],
)
def test_a_metric_is_shown_in_its_unit(
    objective: type[Objective], value: float, text: str, cell: str, label: str
) -> None:
    metric: Metric = objective.selector()
    assert (metric.text(value), metric.cell(value), metric.label) == (text, cell, label)
