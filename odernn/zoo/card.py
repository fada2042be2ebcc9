"""Card: what a trained network says of itself, and the checksums of its files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .preprocessing import Preprocessing
from .schema import SchemaError, read_as
from .spec import NetworkSpec

VERSION = 1


@dataclass(frozen=True)
class Card:
    """The content of `network.json`.

    Attributes:
        version: of this format.
        name: such as "pmnist/oscillator": the task and the row of `python -m benchmarks`.
        title: in words.
        network: from which the network is built.
        preprocessing: from images to its input.
        classes: what each of its outputs stands for.
        parameters: how many numbers were trained.
        accuracy: on all test images, from 0 to 1.
        weights_sha256: the checksum of `weights.safetensors`.
        result_sha256: that of `result.json`, which says how it was trained.
    """

    version: int
    name: str
    title: str
    network: NetworkSpec
    preprocessing: Preprocessing
    classes: list[str]
    parameters: int
    accuracy: float
    weights_sha256: str
    result_sha256: str


def to_json(card: Card) -> str:
    """The text of a card."""
    return json.dumps(asdict(card), allow_nan=False) + "\n"


def from_json(text: bytes) -> Card:
    """The card of a text.

    Raises:
        ValueError: it is none, or of another version of the format.
    """
    try:
        plain = json.loads(text)
        if isinstance(plain, dict) and plain.get("version") != VERSION:
            raise SchemaError(f"`version` is {plain.get('version')!r}; this program reads version {VERSION}")
        return read_as(Card, plain)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
