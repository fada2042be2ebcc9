"""The adding and the copying problem: their definitions, their baselines, and what is fresh in them."""

import math

import pytest
import torch

from benchmarks.objectives import Batch
from benchmarks.tasks import Adding, Copy
from benchmarks.tasks.samples import Draw


def batch(task, part: str = "train", epoch: int = 0, count: int = 200) -> Batch:
    task.setup()
    return getattr(task.splits, part).__getitems__([Draw(row, epoch) for row in range(count)])


@pytest.mark.parametrize("length", [2, 7, 100, 10_000])
def test_adding_marks_one_step_in_each_half_and_asks_for_the_sum(length):
    x, target, mask = batch(Adding(sequence_length=length), count=20)
    half = length // 2
    assert x.shape == (20, length, 2)
    assert mask is None
    assert ((x[..., 0] >= 0) & (x[..., 0] < 1)).all()
    assert set(x[..., 1].unique().tolist()) <= {0.0, 1.0}
    assert (x[:, :half, 1].sum(1) == 1).all()
    assert (x[:, half:, 1].sum(1) == 1).all()
    marked = x[..., 0][x[..., 1] == 1].reshape(20, 2)
    assert torch.equal(target, marked.sum(1, keepdim=True))


def test_answering_one_has_an_error_of_a_sixth():
    task = Adding(sequence_length=10)
    _, target, _ = batch(task, count=10_000)
    errors = task.objective.score(torch.ones_like(target), target)["mse"]
    # The variance of the sum of two uniform numbers; five standard errors, its fourth moment being 1/15.
    assert errors.mean().item() == pytest.approx(1 / 6, abs=5 * math.sqrt((1 / 15 - 1 / 36) / 10_000))


def test_marks_fall_on_every_step_of_their_half():
    x, _, _ = batch(Adding(sequence_length=6), count=500)
    assert (x[..., 1].sum(0) > 0).all()


def test_copy_gives_symbols_a_delay_a_marker_and_blanks():
    task = Copy(recall=4, delay=6)
    x, target, mask = batch(task, count=20)
    assert x.shape == (20, 6 + 2 * 4, 10)
    assert (x.sum(2) == 1).all()
    tokens = x.argmax(2)
    assert (tokens[:, :4] < 8).all()
    assert (tokens[:, 4:9] == 8).all()  # delay - 1 blanks
    assert (tokens[:, 9] == 9).all()  # the marker, 6 steps after the last symbol
    assert (tokens[:, 10:] == 8).all()
    assert torch.equal(target[:, 10:], tokens[:, :4])
    assert mask is not None
    assert torch.equal(mask, (torch.arange(14) >= 10).expand(20, -1))


def test_copy_counts_the_recall_only_and_knowing_nothing_costs_log_8():
    task = Copy(recall=4, delay=6)
    _, target, mask = batch(task)
    scores = task.objective.score(torch.zeros(*target.shape, 8), target)
    assert scores["loss"][mask].mean().item() == pytest.approx(math.log(8))
    # Symbols are uniform: 800 of them, five standard errors.
    assert scores["accuracy"][mask].mean().item() == pytest.approx(1 / 8, abs=5 * math.sqrt(7 / 64 / 800))


@pytest.mark.parametrize("kind", [Adding, Copy])
def test_training_has_fresh_samples_every_epoch_and_the_others_never(kind):
    task, other, run = kind(), kind(data_seed=1), kind(seed=1)
    assert not torch.equal(batch(task, epoch=0).x, batch(task, epoch=1).x)
    assert not torch.equal(batch(task).x, batch(run).x)
    for part in ("val", "test"):
        assert torch.equal(batch(task, part).x, batch(run, part).x)
        assert not torch.equal(batch(task, part).x, batch(other, part).x)
    assert not torch.equal(batch(task, "val").x, batch(task, "test").x)
    assert task.data_checksum == {}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Adding(sequence_length=1), "`sequence_length` is 1; give a whole number from 2"),
        (lambda: Copy(recall=0), "`recall` is 0; give a whole number of at least 1"),
        (lambda: Copy(delay=0), "`delay` is 0; give a whole number of at least 1"),
        (lambda: Adding(train_size=0), "`train_size` is 0; give a whole number of at least 1"),
    ],
)
def test_a_wrong_size_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
