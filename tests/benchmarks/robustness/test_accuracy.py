"""The accuracy of a network: what counts as right, on which images, and what an attack does to the loss."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.models.network import build_network
from benchmarks.robustness.accuracy import accuracies, accuracy, clean_accuracy
from benchmarks.robustness.suite import SUITE
from benchmarks.robustness.trained import CHUNK, Images
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.tasks import PixelDigits
from benchmarks.tasks.pixels import pixel_order, sequences_of_test


@pytest.fixture(scope="module", params=[None, 3], ids=["scanline", "permuted"])
def task(request: pytest.FixtureRequest) -> PixelDigits:
    made = PixelDigits(permutation_seed=request.param)
    made.setup()
    return made


@pytest.fixture
def images(task: PixelDigits) -> Images:
    sequences = sequences_of_test(task)
    assert sequences is not None
    return Images(sequences, len(sequences), pixel_order(task))


class Fixed(nn.Module):
    """A network that knows the labels of the images in their order, and can be made to say something else."""

    def __init__(self, labels: Tensor, wrong: int = 0, value: float = 1.0) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        self.logits = value * F.one_hot(labels, 10).float()
        self.logits[:wrong] = -self.logits[:wrong]
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        first, self.seen = self.seen, self.seen + len(x)
        return self.logits[first : self.seen]


def test_it_is_the_share_of_the_images_that_are_right(images: Images) -> None:
    labels = images.sequences.labels
    assert len(labels) > CHUNK  # several chunks, the last one smaller
    assert clean_accuracy(Fixed(labels), images) == 1
    assert clean_accuracy(Fixed(labels, wrong=30), images) == 1 - 30 / len(labels)


def test_the_first_images_count_where_there_is_a_limit(images: Images) -> None:
    limited = Images(images.sequences, 40, images.order)
    assert clean_accuracy(Fixed(images.sequences.labels, wrong=30), limited) == 10 / 40


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_output_that_is_not_finite_is_wrong(images: Images, value: float) -> None:
    network = Fixed(images.sequences.labels)
    network.logits[:20, 3] = value
    network.logits[:20, 3][images.sequences.labels[:20] == 3] = value
    assert clean_accuracy(network, images) == 1 - 20 / images.count


def test_the_network_is_given_what_its_task_gives(task: PixelDigits, images: Images) -> None:
    given: list[Tensor] = []

    class Recorder(Fixed):
        def forward(self, x: Tensor) -> Tensor:
            given.append(x)
            return super().forward(x)

    clean_accuracy(Recorder(images.sequences.labels), images)
    wanted = task.splits.test.__getitems__(range(images.count)).x
    assert torch.equal(torch.cat(given), wanted)


def test_random_perturbations_have_their_draws_and_attacks_one(images: Images) -> None:
    limited = Images(images.sequences, 10, images.order)
    network = network_of("digits/antisymmetric")
    for perturbation in SUITE.perturbations.values():
        found = accuracies(network, limited, SUITE, perturbation, perturbation.levels[0])
        assert len(found) == (SUITE.draws if perturbation.is_random else 1)
        assert found == accuracies(network, limited, SUITE, perturbation, perturbation.levels[0])


def network_of(name: str) -> nn.Module:
    settings = read_settings(find_run(name))
    network = build_network(settings.model, input_size=1, objective=PixelDigits.objective, seed=0)
    return network.requires_grad_(False)


@pytest.mark.parametrize("name", ["digits/antisymmetric", "digits/oscillator", "digits/lem-48", "digits/lstm"])
def test_one_step_raises_the_loss_and_so_do_ten(images: Images, name: str) -> None:
    limited = Images(images.sequences, 50, images.order)
    inner = network_of(name)
    losses: dict[str, float] = {}

    class Listening(nn.Module):
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind, self.inner = kind, inner

        def forward(self, x: Tensor) -> Tensor:
            output = self.inner(x)
            losses[self.kind] = float(F.cross_entropy(output.detach(), limited.sequences.labels[:50]))
            return output

    accuracy(Listening("clean"), limited, lambda chunk: chunk.pixels)
    for kind in ("fgsm", "pgd"):
        accuracies(Listening(kind), limited, SUITE, SUITE.perturbations[kind], 0.05)
    assert losses["clean"] < losses["fgsm"]
    # Where the loss is linear in so small a ball both end in its corner, and a tenth of the rise is nearer than that.
    rise = losses["fgsm"] - losses["clean"]
    assert losses["pgd"] > losses["fgsm"] - 0.1 * rise
