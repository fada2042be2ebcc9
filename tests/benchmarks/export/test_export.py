"""An exported run is the same network for `odernn.pretrained`, and those that ship keep their accuracy."""

from math import sqrt
from pathlib import Path

import pytest
import torch

import odernn
from benchmarks.cli import main
from benchmarks.data.digits import load_digits
from benchmarks.data.mnist import load_mnist
from benchmarks.run.restore import BEST, restore
from benchmarks.support.errors import MISUSED, OK
from tests.benchmarks.compare.tiny import TINY
from tests.benchmarks.tiny_digits import train_digits

RUNS = ("digits/antisymmetric", "digits-permuted/oscillator", "digits/unicornn-3x64")
IMAGES = 100


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trained runs, not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    for name in RUNS:
        train_digits(folder, name)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_it_is_the_network_that_was_trained(out: Path, name: str, tmp_path: Path) -> None:
    assert main(["export", name, "--out", str(out), "--write", str(tmp_path)]) == OK
    assert odernn.list_pretrained(folder=tmp_path) == [name]
    run = restore(out / name / "seed-0", None)
    net = odernn.pretrained(name, folder=tmp_path)
    x = run.task.splits.test.__getitems__(range(5)).x
    with torch.no_grad():
        # another engine sums in another order
        torch.testing.assert_close(net(x), run.networks[BEST](x), rtol=1e-4, atol=1e-5)
    assert (tmp_path / name / "result.json").read_bytes() == run.folder.result.read_bytes()


@pytest.mark.parametrize("name", RUNS)
def test_it_reads_images_as_its_task_does(out: Path, name: str, tmp_path: Path) -> None:
    main(["export", name, "--out", str(out), "--write", str(tmp_path)])
    run = restore(out / name / "seed-0", None)
    batch = run.task.splits.test.__getitems__(range(5))
    images = run.task.rebuild(batch.x)
    assert images is not None
    x = odernn.pretrained(name, folder=tmp_path).preprocess(16 * images)
    torch.testing.assert_close(x, batch.x, rtol=1e-5, atol=1e-6)  # the images were rebuilt with roundings


def test_the_digits_of_scikit_learn_are_classified_as_in_the_run(out: Path, tmp_path: Path) -> None:
    (name, *_) = RUNS
    main(["export", name, "--out", str(out), "--write", str(tmp_path)])
    digits = load_digits()
    net = odernn.pretrained(name, folder=tmp_path)
    run = restore(out / name / "seed-0", None)
    pixels = digits.pixels.reshape(-1, 8, 8)
    batch = run.task.splits.test.__getitems__(range(20))
    images = run.task.rebuild(batch.x)
    assert images is not None
    places = [int(((pixels / 16 - image).abs().amax((1, 2)) < 1e-3).nonzero()[0]) for image in images]
    assert torch.equal(digits.labels[places], batch.target)
    with torch.no_grad():
        assert torch.equal(net(net.preprocess(pixels[places])).argmax(-1), run.networks[BEST](batch.x).argmax(-1))


def test_an_export_replaces_the_one_before(out: Path, tmp_path: Path) -> None:
    (name, *_) = RUNS
    for units in ("6", "8"):
        train_digits(tmp_path / units, name, "--model.hidden_size", units)
        assert main(["export", name, "--out", str(tmp_path / units), "--write", str(tmp_path / "zoo")]) == OK
        assert odernn.pretrained(name, folder=tmp_path / "zoo").card.network.hidden_size == int(units)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("digits/gru", (), "which trained torch's gru"),
        ("digits/antisymmetric", ("--model.embedding", "2"), "which embeds its input"),
        ("adding/antisymmetric", TINY, "of the task adding; what is exported classifies images"),
    ],
)
def test_what_cannot_be_exported_is_named(
    name: str, options: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_digits(tmp_path, name, *options)
    assert main(["export", name, "--out", str(tmp_path), "--write", str(tmp_path / "zoo")]) == MISUSED
    assert said in capsys.readouterr().err
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(("name", "said"), [("digits/gated", "train it first"), ("nowhere", "neither a folder")])
def test_a_run_that_is_not_there_is_named(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", name, "--out", str(tmp_path), "--write", str(tmp_path / "zoo")]) == MISUSED
    assert said in capsys.readouterr().err


def test_an_unwritable_folder_is_named(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["export", RUNS[0], "--out", str(out), "--write", str(tmp_path / "file")]) == MISUSED
    assert "cannot be written to" in capsys.readouterr().err


@pytest.mark.real_data
@pytest.mark.parametrize("name", odernn.list_pretrained("*mnist/*"))
def test_each_that_ships_reaches_its_accuracy_on_real_images(name: str, mnist_dir: Path) -> None:
    test = load_mnist(mnist_dir).test
    net = odernn.pretrained(name)
    with torch.no_grad():
        right = net(net.preprocess(test.images[:IMAGES])).argmax(-1) == test.labels[:IMAGES]
    accuracy = net.card.accuracy
    # Three standard deviations of the share of so many images, where each is right with that chance.
    assert float(right.float().mean()) >= accuracy - 3 * sqrt(accuracy * (1 - accuracy) / IMAGES)
