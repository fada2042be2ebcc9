"""A folder with one network that is not trained, written by hand: the tests of the files damage copies of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from odernn.zoo.card import VERSION, Card, to_json
from odernn.zoo.files import CARD, RESULT, WEIGHTS, sha256
from odernn.zoo.preprocessing import Preprocessing
from odernn.zoo.spec import NetworkSpec

NAME = "tiny/oscillators"
SPEC = NetworkSpec("cornn", {"gamma": 1.0, "epsilon": 0.5}, 1, 6, 3, "symplectic-euler", 0.2, 1, "zero-order")
PREPROCESSING = Preprocessing(2, 3, 1, 15.0, [0.25], [0.5], [5, 0, 3, 1, 4, 2])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the network and gives the folder above it; weights, text of the card and spec may be others."""

    def run(weights: dict[str, Tensor] | None = None, *, change: dict[str, Any] | None = None) -> Path:
        network = SPEC.build()
        content = save(dict(network.state_dict()) if weights is None else weights)
        result = b'{"task": "tiny"}\n'
        count = sum(each.numel() for each in network.parameters())
        card = Card(
            VERSION,
            NAME,
            "Oscillators",
            SPEC,
            PREPROCESSING,
            ["a", "b", "c"],
            count,
            0.5,
            sha256(content),
            sha256(result),
        )
        folder = tmp_path / NAME
        folder.mkdir(parents=True, exist_ok=True)
        plain = json.loads(to_json(card)) | (change or {})
        for name, data in ((CARD, json.dumps(plain).encode()), (WEIGHTS, content), (RESULT, result)):
            (folder / name).write_bytes(data)
        return tmp_path

    return run


@pytest.fixture
def state() -> dict[str, Tensor]:
    """Weights that fit."""
    torch.manual_seed(1)
    return dict(SPEC.build().state_dict())
