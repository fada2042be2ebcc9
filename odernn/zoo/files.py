"""The files of a trained network: a card, weights and the result of the run, checked against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from .card import Card, from_json

CARD, WEIGHTS, RESULT = "network.json", "weights.safetensors", "result.json"
SHIPPED = Path(__file__).parent / "weights"
"""The networks that come with the package."""


def names_in(folder: Path) -> list[str]:
    """The networks beneath a folder, as <task>/<row>, sorted."""
    return sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob(f"*/*/{CARD}"))


def read_files(folder: Path) -> tuple[Card, Mapping[str, Tensor]]:
    """The card and the weights in a folder. They are read as data, never as code.

    Raises:
        ValueError: a file is missing, damaged, or not the one that the card was written for.
    """
    card = _card(folder)
    weights = _checked(folder / WEIGHTS, card.weights_sha256)
    _checked(folder / RESULT, card.result_sha256)
    try:
        return card, load(weights)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS} holds no weights: {error}") from error


def sha256(content: bytes) -> str:
    """The checksum of a content."""
    return hashlib.sha256(content).hexdigest()


def _card(folder: Path) -> Card:
    path = folder / CARD
    try:
        return from_json(_content(path))
    except ValueError as error:
        raise ValueError(f"{path} does not describe a network: {error}") from error


def _checked(path: Path, wanted: str) -> bytes:
    content = _content(path)
    if (found := sha256(content)) != wanted:
        raise ValueError(
            f"{path} has the sha256 {found}, and its network.json was written for {wanted}: it was changed or cut off; "
            "install the package again, or export the network again"
        )
    return content


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
