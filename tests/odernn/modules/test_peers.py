"""Law: adapters that peft puts into a layer, and modules that torchrl calls, have the numbers of the layer itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from odernn import ODERNN, AntisymmetricRNN, UnstructuredField

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, while they are imported and called
NOT_INSTALLED = "not installed: pip install odernn[peers]"


class Classifier(nn.Module):
    """A model around a layer, as peft is given one."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn
        self.readout = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.rnn(x)[0][-1])


def unstructured() -> Classifier:
    return Classifier(ODERNN(UnstructuredField(2, 4), "heun", dt=0.1))


def antisymmetric() -> Classifier:
    return Classifier(AntisymmetricRNN(2, 4, num_layers=1, epsilon=0.1))


@pytest.mark.parametrize(
    ("make", "targets"),
    [
        (unstructured, {"target_modules": ["input_map"]}),
        (antisymmetric, {"target_modules": ["input_map", "readout"]}),
    ],
)
def test_low_rank_adapters_by_peft(make: Any, targets: dict[str, list[str]], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason=NOT_INSTALLED)
    base, x = make(), torch.randn(6, 3, 2)
    plain, weights = base(x), {name: value.clone() for name, value in base.state_dict().items()}
    adapted = peft.get_peft_model(base, peft.LoraConfig(r=2, lora_alpha=4, **targets))
    torch.testing.assert_close(adapted(x), plain)  # it begins with no change
    learned = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    assert learned
    assert all("lora" in name for name in learned)
    optimiser = torch.optim.SGD(learned.values(), lr=0.5)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(adapted(x), torch.tensor([0, 1, 2])).backward()
        assert all(each.grad is not None for each in learned.values())
        optimiser.step()
    found = adapted(x)
    assert (found - plain).abs().max() > 1e-3
    adapted.save_pretrained(tmp_path)
    fresh = make()
    fresh.load_state_dict(weights)
    torch.testing.assert_close(peft.PeftModel.from_pretrained(fresh, tmp_path)(x), found)
    merged = adapted.merge_and_unload()
    torch.testing.assert_close(merged(x), found, rtol=1e-4, atol=1e-6)  # W + B A in float32, and not x W + (x A) B
    assert merged.state_dict().keys() == weights.keys()


def test_a_layer_and_a_step_as_modules_of_tensordicts() -> None:
    """What torchrl's policies are made of: a whole sequence, and a step whose state goes on."""
    tensordict = pytest.importorskip("tensordict", reason=NOT_INSTALLED)
    modules = pytest.importorskip("tensordict.nn", reason=NOT_INSTALLED)
    layer, given = ODERNN(UnstructuredField(2, 4), "rk4", dt=0.1, batch_first=True), torch.randn(3, 5, 2)
    begins = torch.rand(3, 5) < 0.3
    wanted = layer(given, resets=begins)[0]

    def run(x: Tensor, is_init: Tensor) -> Tensor:
        return layer(x, resets=is_init)[0]  # pyright: ignore[reportReturnType]

    def step(x: Tensor, is_init: Tensor, state: Tensor) -> Tensor:
        return layer.step(x, state.masked_fill(is_init.unsqueeze(-1), 0))[0]

    whole = modules.TensorDictModule(run, in_keys=["observation", "is_init"], out_keys=["features"])
    found = whole(tensordict.TensorDict({"observation": given, "is_init": begins}, [3, 5]))
    assert torch.equal(found["features"], wanted)
    cell = modules.TensorDictModule(step, in_keys=["observation", "is_init", "state"], out_keys=[("next", "state")])
    state = torch.zeros(3, 4)
    for n in range(5):
        now = tensordict.TensorDict({"observation": given[:, n], "is_init": begins[:, n], "state": state}, [3])
        state = cell(now)["next", "state"]
        torch.testing.assert_close(state, wanted[:, n])
