"""A file of a network that is missing, cut off, changed or forged is refused, and the message names it."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

import odernn
from odernn.zoo.files import CARD, RESULT, WEIGHTS, sha256
from tests.odernn.zoo.conftest import NAME


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as raised:
        odernn.pretrained(NAME, folder=folder)
    return str(raised.value)


@pytest.mark.parametrize("file", [WEIGHTS, RESULT])
@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content + b" ", lambda _: b""])
def test_a_file_that_was_changed_is_refused(write: Callable[..., Path], file: str, damage) -> None:
    folder = write()
    path = folder / NAME / file
    path.write_bytes(damage(path.read_bytes()))
    said = refusal(folder)
    assert str(path) in said
    assert "it was changed or cut off" in said


def test_one_bit_of_a_weight_is_enough(write: Callable[..., Path]) -> None:
    folder = write()
    path = folder / NAME / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert "it was changed or cut off" in refusal(folder)


@pytest.mark.parametrize("file", [WEIGHTS, RESULT])
def test_a_missing_file_is_named(write: Callable[..., Path], file: str) -> None:
    folder = write()
    (folder / NAME / file).unlink()
    assert f"{folder / NAME / file} cannot be read" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"version": 1}'])
def test_a_card_that_is_none_is_named(write: Callable[..., Path], text: str) -> None:
    folder = write()
    (folder / NAME / CARD).write_text(text)
    assert f"{folder / NAME / CARD} does not describe a network" in refusal(folder)


NETWORK = {
    "field": "cornn",
    "arguments": {"gamma": 1.0, "epsilon": 0.5},
    "input_size": 1,
    "hidden_size": 6,
    "output_size": 3,
    "solver": "symplectic-euler",
    "dt": 0.2,
    "substeps": 1,
    "hold": "zero-order",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "`version` is 2; this program reads version 1"),
        ({"colour": "red"}, "`colour` is unknown"),
        ({"accuracy": "high"}, "`accuracy` is 'high'"),
        ({"parameters": 12}, "says 12 parameters and the network has"),
        ({"classes": ["a"]}, "says"),
        ({"network": NETWORK | {"field": "os.system"}}, "`field` is 'os.system'; choose one of"),
        ({"network": NETWORK | {"solver": "magic"}}, "`solver` is 'magic'; choose one of"),
        ({"network": NETWORK | {"hidden_size": 8}}, "do not fit what network.json says"),
        ({"network": NETWORK | {"hidden_size": -8}}, "`hidden_size`"),
        ({"network": NETWORK | {"arguments": {"colour": 1.0}}}, "colour"),
        ({"network": NETWORK | {"layers": 2}}, "do not fit what network.json says"),
    ],
)
def test_a_card_that_does_not_fit_is_named(write: Callable[..., Path], change: dict[str, Any], said: str) -> None:
    assert said in refusal(write(change=change))


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda state: {key: value[..., :1].clone() for key, value in state.items()}, "do not fit"),
        (lambda state: state | {"more": torch.zeros(1)}, "do not fit"),
        (lambda state: {key: state[key] for key in list(state)[1:]}, "do not fit"),
        (lambda state: {key: torch.full_like(value, float("nan")) for key, value in state.items()}, "not finite"),
    ],
    ids=["shapes", "a weight too many", "a weight too few", "nan"],
)
def test_forged_weights_with_the_right_checksum_are_refused(
    write: Callable[..., Path], state: dict[str, Tensor], forge, said: str
) -> None:
    assert said in refusal(write(forge(state)))


class Harm:
    """A pickle that would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_the_right_checksum_is_not_run(write: Callable[..., Path], tmp_path: Path) -> None:
    folder = write()
    content = pickle.dumps(Harm(tmp_path / "harm"))
    card = folder / NAME / CARD
    (folder / NAME / WEIGHTS).write_bytes(content)
    card.write_text(json.dumps(json.loads(card.read_text()) | {"weights_sha256": sha256(content)}))
    assert "holds no weights" in refusal(folder)
    assert not (tmp_path / "harm").exists()


def test_weights_of_another_network_are_refused(write: Callable[..., Path], state: dict[str, Tensor]) -> None:
    folder = write()
    (folder / NAME / WEIGHTS).write_bytes(save(state))
    assert "it was changed or cut off" in refusal(folder)
