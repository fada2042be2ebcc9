"""A trained run as the files that `odernn.pretrained` loads."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from benchmarks.models.network import count_parameters, network_spec
from benchmarks.objectives import Classification
from benchmarks.report.result import RunResult, read_result
from benchmarks.run.restore import BEST, RestoredRun
from benchmarks.settings.types import ODESettings
from benchmarks.support.atomic import write_atomically
from benchmarks.support.errors import UserError
from benchmarks.tasks.pixels import pixel_order, sequences_of_test
from odernn.zoo.card import VERSION, Card, to_json
from odernn.zoo.files import CARD, RESULT, WEIGHTS, sha256
from odernn.zoo.preprocessing import Preprocessing


def export(run: RestoredRun, folder: Path) -> Path:
    """Writes a run's network, with the weights of its best epoch, beneath `folder`; gives the folder of its files.

    What lies there already is replaced.

    Raises:
        UserError: the run trained no vector field, or its task does not classify images that are read pixel by pixel.
        OSError: the files cannot be written.
    """
    model = run.settings.model
    if not isinstance(model, ODESettings):
        raise UserError(
            f"`run` is {run.folder.path}, which trained torch's {model.kind}; only ODE networks are exported"
        )
    if model.embedding is not None:
        raise UserError(f"`run` is {run.folder.path}, which embeds its input; only networks without one are exported")
    network, result = run.networks[BEST], run.folder.result.read_bytes()
    weights = save({name: _own(value) for name, value in network.state_dict().items()})
    card = Card(
        version=VERSION,
        name=str(run.name),
        title=run.settings.title,
        network=network_spec(model, run.task.input_size, run.task.objective),
        preprocessing=preprocessing_of(run),
        classes=_classes(run),
        parameters=count_parameters(network),
        accuracy=_accuracy(read_result(run.folder.result)),
        weights_sha256=sha256(weights),
        result_sha256=sha256(result),
    )
    place = folder / run.name.task / run.name.row
    place.mkdir(parents=True, exist_ok=True)
    # The card goes last: until then the files there do not fit it, and are refused.
    for name, content in ((RESULT, result), (WEIGHTS, weights), (CARD, to_json(card).encode())):
        _write(place / name, content)
    return place


def preprocessing_of(run: RestoredRun) -> Preprocessing:
    """How a run's task makes sequences of images.

    Raises:
        UserError: it does not make them of images, pixel by pixel.
    """
    sequences = sequences_of_test(run.task)
    images = None if sequences is None else run.task.rebuild(sequences.batch(torch.tensor([0]), 0).x)
    if sequences is None or images is None:
        raise UserError(
            f"`run` is {run.folder.path}, of the task {run.task.name}; what is exported classifies images that are "
            "read pixel by pixel"
        )
    order, scale = pixel_order(run.task), sequences.scale
    return Preprocessing(
        rows=images.shape[1],
        columns=images.shape[2],
        channels=run.task.input_size,
        maximum=scale.maximum,
        mean=list(scale.mean),
        std=list(scale.std),
        order=None if order is None or _is_scanline(order) else order.tolist(),
    )


def _is_scanline(order: Tensor) -> bool:
    return torch.equal(order, torch.arange(len(order)))


def _own(value: Tensor) -> Tensor:
    """A copy that shares no memory with another, which safetensors refuses."""
    return value.detach().cpu().contiguous().clone()


def _classes(run: RestoredRun) -> list[str]:
    objective = run.task.objective
    assert isinstance(objective, Classification)
    return list(objective.class_names or map(str, range(objective.num_classes)))


def _accuracy(result: RunResult) -> float:
    assert result.scores is not None  # a run that diverged is refused where it is read
    return result.scores.test


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda stream: [stream.write(content)].clear())
