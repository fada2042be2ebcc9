"""The laws of every task, over the registry; MNIST's on small random files in its format."""

import inspect
from pathlib import Path

import lightning as L
import pytest
import torch
from jsonargparse import ArgumentParser

from benchmarks.data import DataChecksumWarning, MissingDataError
from benchmarks.data.random_splits import permutation
from benchmarks.objectives import LabelObjective
from benchmarks.tasks import TASKS, PixelDigits, PixelMNIST, Task
from tests.benchmarks.image_parts import image_parts

# The small random files are not MNIST, and the tasks rightly say so.
pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")

PARTS = ("train", "val", "test")
PERMUTED = {"digits": "digits-permuted", "smnist": "pmnist"}


@pytest.fixture(params=TASKS)
def task(request, task_arguments) -> Task:
    """Each task, with its data read."""
    return made(request.param, task_arguments)


def made(name: str, task_arguments: dict, **arguments) -> Task:
    task = TASKS[name](**(task_arguments[name] | arguments))
    task.prepare_data()
    task.setup()
    return task


def loader(task: Task, part: str):
    return getattr(task, f"{part}_dataloader")()


def test_the_registry_is_read_only_and_names_its_tasks(task_arguments):
    for name, task in TASKS.items():
        assert TASKS[name](**task_arguments[name]).name == name
        assert issubclass(task, L.LightningDataModule)
        assert inspect.getdoc(task)
    with pytest.raises(TypeError):
        TASKS["other"] = TASKS["digits"]  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize("part", PARTS)
def test_batches_have_the_shapes_and_types_that_are_promised(task, part):
    x, target, mask = next(iter(loader(task, part)))
    count = len(getattr(task.splits, part))
    size = min(task.batch_size if part == "train" else task.eval_batch_size, count)
    assert x.shape == (size, task.length, task.input_size)
    assert x.dtype == torch.float32
    items = (size,) if task.objective.read_from == "end" else (size, task.length)
    assert mask is None or (mask.shape, mask.dtype) == (items, torch.bool)
    # The objective takes them, and finds no error in an answer of the right kind.
    scores = task.objective.score(torch.zeros(*items, task.objective.output_size), target)
    found = task.objective.summarise({name: values.mean().item() for name, values in scores.items()})
    assert found.keys() == {"loss", *(metric.name for metric in task.objective.metrics)}
    assert all(values.shape == items for values in scores.values())
    assert all(values.isfinite().all() for values in scores.values())


@pytest.mark.parametrize("part", PARTS)
def test_the_labels_of_a_classification_are_those_of_its_classes(task, part):
    if not isinstance(task.objective, LabelObjective):
        pytest.skip("its targets are no labels")
    for _, target, mask in loader(task, part):
        counted = target if mask is None else target[mask]
        assert target.dtype == torch.int64
        assert counted.min() >= 0
        assert counted.max() < task.objective.num_classes


@pytest.mark.parametrize("part", PARTS)
def test_every_sample_comes_once(part, task_arguments):
    for name in TASKS:
        task = made(name, task_arguments, batch_size=7, eval_batch_size=7)
        batches = list(loader(task, part))
        samples = getattr(task.splits, part)
        if task.carries_state:
            assert {len(batch.x) for batch in batches} == {7}  # each continues the one before
        else:  # 7 divides none of the parts, so the last batch is a short one
            assert len(batches[-1][0]) == len(samples) % 7 != 0
        assert len(batches) == len(loader(task, part))
        x = torch.cat([batch.x for batch in batches])
        everything = samples.__getitems__(range(len(samples))).x
        assert torch.equal(x.flatten(1).unique(dim=0), everything.flatten(1).unique(dim=0))
        assert len(x) == len(samples)


@pytest.mark.parametrize("part", ["val", "test"])
def test_validation_and_test_keep_their_order(task, part):
    samples = getattr(task.splits, part)
    everything = samples.__getitems__(range(len(samples)))
    assert torch.equal(torch.cat([batch.target for batch in loader(task, part)]), everything.target)


def test_one_sample_is_a_row_of_its_batch(task):
    sample, batch = task.splits.train[3], task.splits.train.__getitems__([5, 3])
    assert torch.equal(sample.x, batch.x[1])
    assert torch.equal(sample.target, batch.target[1])


@pytest.mark.parametrize(("plain", "permuted"), PERMUTED.items())
@pytest.mark.parametrize("part", PARTS)
def test_a_permuted_task_is_the_plain_one_in_one_order_of_the_pixels(plain, permuted, part, task_arguments):
    order = permutation(TASKS[plain](**task_arguments[plain]).length, seed=3)
    one, other = made(plain, task_arguments), made(permuted, task_arguments, permutation_seed=3)
    rows = range(len(getattr(one.splits, part)))
    batch, permuted_batch = (getattr(task.splits, part).__getitems__(rows) for task in (one, other))
    assert torch.equal(permuted_batch.x, batch.x[:, order])
    assert torch.equal(permuted_batch.target, batch.target)


@pytest.mark.parametrize("name", PERMUTED.values())
def test_the_permutation_is_that_of_its_seed_and_no_bit_reversal(name, task_arguments):
    length = TASKS[name](**task_arguments[name]).length
    one, same, other = (made(name, task_arguments, permutation_seed=seed) for seed in (1, 1, 2))
    pixels, again, others = (image_parts(task.splits).test.pixels for task in (one, same, other))
    assert torch.equal(pixels, again)
    assert not torch.equal(pixels, others)
    order = permutation(length, 1)
    assert torch.equal(order.sort().values, torch.arange(length))
    assert not torch.equal(order[order], torch.arange(length)), "bit reversal is its own inverse"


def test_data_are_read_once_for_all_stages(task, monkeypatch):
    splits = task.splits
    monkeypatch.setattr(type(task), "read", lambda self: pytest.fail("read again"))
    task.setup("test")
    assert task.splits is splits


@pytest.mark.parametrize("name", TASKS)
def test_before_setup_there_are_no_data_and_the_error_says_so(name, task_arguments):
    task = TASKS[name](**task_arguments[name])
    for ask in (task.train_dataloader, task.val_dataloader, task.test_dataloader, lambda: task.data_checksum):
        with pytest.raises(RuntimeError, match=rf"`{name}` has read no data yet; call its `setup\(\)`"):
            ask()


def test_the_checksum_is_of_the_content_and_says_whether_it_is_the_published_one(task):
    published = task.name.startswith("digits")
    for check in task.data_checksum.values():
        assert len(bytes.fromhex(check["sha256"])) == 32
        assert check["verified"] is published


@pytest.mark.parametrize("name", TASKS)
def test_every_argument_can_be_given_on_a_command_line_and_is_documented(name, task_arguments):
    parser = ArgumentParser()
    parser.add_class_arguments(TASKS[name], "task")
    given = [f"--task.{key}={value}" for key, value in task_arguments[name].items()]
    task = parser.instantiate(parser.parse_args([*given, "--task.batch_size=5"])).task
    assert task.batch_size == 5
    documented = "".join(inspect.getdoc(each) or "" for each in TASKS[name].__mro__ if issubclass(each, Task))
    for argument in inspect.signature(TASKS[name]).parameters.values():
        assert argument.kind is argument.KEYWORD_ONLY
        assert f"\n    {argument.name}: " in documented


def test_a_limit_takes_the_first_samples_of_every_part_and_says_so(task_arguments):
    for name in TASKS:
        sizes = {"batch_size": 30, "eval_batch_size": 30}
        whole, some = made(name, task_arguments, **sizes), made(name, task_arguments, **sizes, limit=30)
        for part in PARTS:
            rows = range(30)
            one, other = (getattr(task.splits, part).__getitems__(rows) for task in (whole, some))
            assert torch.equal(one.x, other.x)
            assert whole.rebuild(one.x) is None or torch.equal(whole.rebuild(one.x), some.rebuild(one.x))
            assert len(loader(some, part)) == 1
            image = whole.rebuild(one.x)
            assert image is None or torch.equal(image, some.rebuild(one.x))
        assert some.variants == (*whole.variants, "first 30 samples")


SIZES = ("batch_size", "eval_batch_size", "val_size")
SEEDS = ("seed", "split_seed", "permutation_seed")
WRONG = [
    *((name, value, ValueError) for name in SIZES for value in (0, -1)),
    *((name, value, ValueError) for name in SEEDS for value in (-1, 2**32)),
    *((name, value, TypeError) for name in SIZES + SEEDS for value in (1.0, "1", True)),
    *((name, None, TypeError) for name in (*SIZES, "seed", "split_seed")),
    ("data_dir", "mnist", TypeError),
    ("data_dir", Path("no such folder"), MissingDataError),
]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(("argument", "value", "error"), WRONG)
def test_a_wrong_argument_is_refused_at_construction(name, argument, value, error):
    if argument not in inspect.signature(TASKS[name]).parameters:
        error = TypeError  # no option that is accepted and ignored
    with pytest.raises(error, match=argument):
        TASKS[name](**{argument: value})


def test_the_validation_part_leaves_at_least_one_training_sample(small_mnist_dir):
    assert PixelDigits(val_size=1496)
    with pytest.raises(ValueError, match="`val_size` is 1497; give a whole number from 1 to 1496"):
        PixelDigits(val_size=1497)
    with pytest.raises(ValueError, match="`val_size` is 60000; give a whole number from 1 to 59999"):
        PixelMNIST(val_size=60_000)
    with pytest.raises(ValueError, match="`val_size` is 300; give a whole number from 1 to 299"):
        PixelMNIST(data_dir=small_mnist_dir, val_size=300).setup()
