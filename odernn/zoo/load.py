"""`pretrained` and `list_pretrained`: trained networks by name."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from solvers import Solver

from ..layer.odernn import ODERNN
from ..modules.sequence_network import ODERecurrence, SequenceNetwork, all_finite
from .card import Card
from .files import SHIPPED, names_in, read_files


@final
class PretrainedNetwork(nn.Module):
    """A trained network: its recurrent layers and its readout, with what it says of itself.

    Args:
        network: with its weights.
        card: what it was trained for, on what, and how well it does.

    Attributes:
        network: likewise.
        card: likewise.
    """

    def __init__(self, network: SequenceNetwork, card: Card) -> None:
        super().__init__()
        self.network = network
        self.card = card

    @property
    def recurrence(self) -> ODERecurrence:
        """The recurrent part."""
        part = self.network.recurrent
        assert isinstance(part, ODERecurrence)
        return part

    @property
    def rnn(self) -> ODERNN:
        """The recurrent layer, of several the lowest: what `odernn.analysis` and `with_solver` take."""
        return self.recurrence.rnn

    def preprocess(self, images: Real[Tensor, "batch *channel row column"]) -> Float[Tensor, "batch time channel"]:
        """The sequences that the network reads, made of images: `card.preprocessing` says how. Errors as there."""
        return self.card.preprocessing(images)

    def forward(self, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch classes"]:
        """The logit of each class.

        Args:
            x: sequences as `preprocess` makes them.
        """
        return self.network(x)

    def with_solver(self, solver: Solver | str, *, substeps: int | None = None) -> PretrainedNetwork:
        """The same weights, shared and not copied, under another discretisation. Errors as `ODERNN.with_solver`."""
        part = self.recurrence
        layers = [layer.with_solver(solver, substeps=substeps) for layer in part.layers]
        network = SequenceNetwork(part.with_layers(layers), part.visible_size, self.card.network.output_size)
        network.readout = self.network.readout
        return PretrainedNetwork(network, self.card).train(self.training)

    def extra_repr(self) -> str:
        """Name, accuracy and input."""
        card = self.card
        return f"{card.name!r}, {100 * card.accuracy:.2f} % on test images; input: {card.preprocessing.said}"


def list_pretrained(pattern: str = "*", *, folder: Path | str | None = None) -> list[str]:
    """The names of the trained networks, sorted.

    Args:
        pattern: what the names must look like, where * stands for any characters: "smnist*".
        folder: where they lie, as `python -m benchmarks export` writes them; those of the package if None.

    Raises:
        ValueError: `folder` is not a folder.
    """
    return [name for name in names_in(_folder(folder)) if fnmatchcase(name, pattern)]


def pretrained(
    name: str,
    *,
    folder: Path | str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> PretrainedNetwork:
    """A trained network by its name, in evaluation mode.

    Args:
        name: one of `list_pretrained()`, such as "pmnist/oscillator".
        folder: where it lies, as `python -m benchmarks export` writes it; with the package if None.
        device: of the weights.
        dtype: of the weights, those of the file if None.

    Raises:
        ValueError: there is no such network, or its files are missing, damaged, or do not belong together.
    """
    place = _folder(folder)
    names = names_in(place)
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"`name` is {name!r}; {meant}There are {', '.join(names) or 'none'} in {place}")
    return _load(place / name).to(device=device, dtype=dtype).eval()


def _load(folder: Path) -> PretrainedNetwork:
    card, weights = read_files(folder)
    try:
        with torch.random.fork_rng(devices=[]):
            network = card.network.build()
        network.load_state_dict(dict(weights))
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder}: the weights do not fit what network.json says of them: {reason}") from error
    count = sum(parameter.numel() for parameter in network.parameters())
    if count != card.parameters or len(card.classes) != card.network.output_size:
        raise ValueError(f"{folder}: network.json says {card.parameters:,} parameters and the network has {count:,}")
    if not all_finite(network):
        raise ValueError(f"{folder}: there are weights that are not finite numbers")
    return PretrainedNetwork(network, card)


def _folder(folder: Path | str | None) -> Path:
    place = SHIPPED if folder is None else Path(folder)
    if not place.is_dir():
        raise ValueError(f"`folder` is {place}, which is not a folder")
    return place
