"""A trained network is found by its name, loads as it was written, and says what it reads."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import odernn
from odernn.zoo.files import SHIPPED
from tests.odernn.zoo.conftest import NAME, PREPROCESSING, SPEC

MEGABYTE = 1_000_000


def test_names_are_listed_and_match_a_pattern(write: Callable[..., Path]) -> None:
    folder = write()
    assert odernn.list_pretrained(folder=folder) == [NAME]
    assert odernn.list_pretrained("tiny/*", folder=str(folder)) == [NAME]
    assert odernn.list_pretrained("large*", folder=folder) == []


def test_it_loads_as_it_was_written(write: Callable[..., Path], state: dict[str, Tensor]) -> None:
    folder = write(state)
    before = torch.get_rng_state()
    net = odernn.pretrained(NAME, folder=folder)
    assert not net.training
    loaded = net.network.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    assert torch.equal(torch.get_rng_state(), before), "loading draws from the global generator"
    network = SPEC.build()
    network.load_state_dict(state)
    x = torch.randn(2, 6, 1)
    torch.testing.assert_close(net(x), network(x), rtol=0, atol=0)


def test_device_and_dtype_are_as_asked_for(write: Callable[..., Path]) -> None:
    folder = write()
    assert next(odernn.pretrained(NAME, folder=folder, dtype=torch.float64).parameters()).dtype == torch.float64
    assert next(odernn.pretrained(NAME, folder=folder, device="meta").parameters()).is_meta


def test_it_runs_under_another_solver_with_the_same_weights(write: Callable[..., Path]) -> None:
    net = odernn.pretrained(NAME, folder=write())
    x = torch.randn(2, 6, 1)
    finer = net.with_solver("rk4", substeps=2)
    assert {id(each) for each in finer.parameters()} == {id(each) for each in net.parameters()}
    assert not torch.equal(finer(x), net(x))
    torch.testing.assert_close(net.with_solver("symplectic-euler")(x), net(x), rtol=0, atol=0)
    assert not finer.training


def test_preprocessing_is_that_of_the_card(write: Callable[..., Path]) -> None:
    net = odernn.pretrained(NAME, folder=write())
    images = torch.randint(16, (4, 2, 3), dtype=torch.uint8)
    x = net.preprocess(images)
    assert x.shape == (4, 6, 1)
    scanline = (images.reshape(4, 6).float() / 15 - 0.25) / 0.5
    assert PREPROCESSING.order is not None
    for step, pixel in enumerate(PREPROCESSING.order):
        assert torch.equal(x[:, step, 0], scanline[:, pixel])
    assert net(x).shape == (4, 3)
    assert "a fixed permutation" in repr(net)
    assert NAME in repr(net)


@pytest.mark.parametrize(
    ("images", "error", "said"),
    [
        (torch.zeros(2, 3), ValueError, r"shape \(2, 3\); give \(batch, 2, 3\)"),
        (torch.zeros(1, 3, 2), ValueError, r"give \(batch, 2, 3\)"),
        (torch.full((1, 2, 3), 255), ValueError, "not from 0 to 15"),
        (torch.full((1, 2, 3), float("nan")), ValueError, "not from 0 to 15"),
        ([[0]], TypeError, "`images` is list"),
    ],
)
def test_images_that_do_not_fit_are_named(
    write: Callable[..., Path], images: Tensor, error: type[Exception], said: str
) -> None:
    net = odernn.pretrained(NAME, folder=write())
    with pytest.raises(error, match=said):
        net.preprocess(images)


def test_an_unknown_name_suggests_the_nearest(write: Callable[..., Path]) -> None:
    folder = write()
    with pytest.raises(ValueError, match="`name` is 'tiny/oscilators'; did you mean 'tiny/oscillators'"):
        odernn.pretrained("tiny/oscilators", folder=folder)
    with pytest.raises(ValueError, match=r"`name` is '\.\./tiny/oscillators'"):
        odernn.pretrained(f"../{NAME}", folder=folder / "tiny")
    with pytest.raises(ValueError, match="which is not a folder"):
        odernn.list_pretrained(folder=folder / "nowhere")


def test_there_are_networks_of_both_orders_of_mnist() -> None:
    names = odernn.list_pretrained()
    assert {name.partition("/")[0] for name in names} >= {"smnist", "pmnist"}
    assert odernn.list_pretrained("smnist*") == [name for name in names if name.startswith("smnist")]


@pytest.mark.parametrize("name", odernn.list_pretrained())
def test_every_one_that_ships_loads_and_reads_images(name: str) -> None:
    net = odernn.pretrained(name)
    assert net.card.name == name
    assert sum(each.numel() for each in net.parameters()) == net.card.parameters
    shape = (2, net.card.preprocessing.rows, net.card.preprocessing.columns)
    with torch.no_grad():
        logits = net(net.preprocess(torch.zeros(shape, dtype=torch.uint8)))
    assert logits.shape == (2, len(net.card.classes))
    assert torch.isfinite(logits).all()


def test_all_that_ships_is_small() -> None:
    """It lies in the wheel, which everybody downloads."""
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < MEGABYTE
