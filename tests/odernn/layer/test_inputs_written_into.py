"""Law: an input that is written into between forward and backward gives autograd's gradient, or an error says so."""

import torch
from torch import Tensor

from odernn import RecurrentState
from tests.odernn.layer.backward_evaluation import DOUBLE, FIELDS, NAMES, adjoint_of, agree_or_say, layer
from tests.pairs import crossed

INPUTS = ["x", "y0", "dt", "timestamps", "state.y", "state.control", "state.carry"]


@crossed({"field": list(FIELDS), "name": NAMES, "given": INPUTS})
def test_an_input_that_is_written_into(field: str, name: str, given: str) -> None:
    """As the next batch into the buffer of this one: no other number."""

    def found(adjoint: object, write: bool) -> list[Tensor]:
        torch.manual_seed(0)
        module = FIELDS[field]()
        rnn = layer(module, adjoint, name, "linear")
        x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 4, dtype=DOUBLE)
        dt = 0.1 + 0.2 * torch.rand(3, 5, dtype=DOUBLE)
        tensors = {"x": x, "y0": y0, "dt": dt, "timestamps": dt.cumsum(1)}
        if given.startswith("state"):
            with torch.no_grad():
                _, state = rnn(x, RecurrentState(y0[0]))
            tensors |= {"state.y": state.y, "state.control": state.control}
            tensors["state.carry"] = state.carry[0] if state.carry else state.y
            loss = rnn(x, state)[0].square().sum()
        elif given == "timestamps":
            loss = rnn(x, y0, timestamps=tensors["timestamps"])[0].square().sum()
        else:
            loss = rnn(x, y0, dt=dt)[0].square().sum()
        if write:
            tensors[given].mul_(1.7)
        return list(torch.autograd.grad(loss, list(module.parameters())))

    wanted = found("autograd", write=False)
    agree_or_say(lambda: found(adjoint_of(name), write=True), wanted, name)
