"""ElmanRNN beside torch.nn.RNN, call by call, as a page: `python -m odernn.comparison > docs/torch-rnn.md`."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from .modules.torch_cells import ElmanRNN

HEAD = """# Beside torch.nn.RNN

Each call was made with `RNN` = `torch.nn.RNN` and with `RNN` = `odernn.ElmanRNN`, which has the same weights. It is
equal if type, shape, dtype and numbers are, or the type of the error. `python -m odernn.comparison` makes this page; a
test fails when it is stale, and when a row differs without a reason.

`x` is (5, 4, 3), `h` (1, 4, 6), `h4` (4, 4, 6), `v` and `k` are `x` and `h` with gradients, `short` is a PackedSequence
of the lengths 3, 5, 1 and 4, `pen` the gradient of a loss by `v` with its graph. `AntisymmetricRNN` and `StackedODERNN`
have the same interface, with other numbers.

"""
STEADY = "An error says which argument it is, and is a ValueError where torch's comes from within an operator."
REASONS: Mapping[str, str] = {
    "error": STEADY,
    "names": "The parameters have the names of the field: `layers.0.field.recurrent.weight`. torch's are loaded too.",
    "half": "The state does not go through half precision: the recurrence runs in float32.",
    "solver": "torch's layer is not a solver stepping a field.",
    "lengths": "torch takes a PackedSequence only.",
    "cudnn": "There is no cuDNN buffer.",
    "nested": "torch's takes no nested tensor.",
    "whole": "Whole numbers are of a wrong type, which is a TypeError.",
}


class Row(NamedTuple):
    """One call.

    Attributes:
        call: the expression.
        why: the key of the reason for a difference, or empty.
    """

    call: str
    why: str = ""


ROWS: Mapping[str, Sequence[Row]] = {
    "Made": [
        Row("RNN(3, 6)"),
        Row("RNN(3, 6, 2)(x)"),
        Row("RNN(3, 6, 1, 'relu')(x)"),
        Row("RNN(3, 6, nonlinearity='relu', bias=False)(x)"),
        Row("RNN(3, 6, dtype=torch.float64)(x.double())"),
        Row("RNN(3, 6, device='meta')(x.to('meta'))"),
        Row("RNN(3, 6, 2, dropout=0.0)(x)"),
        Row("RNN(3, 6, nonlinearity='sigmoid')"),
        Row("RNN(0, 6)"),
        Row("RNN(3, 0)"),
        Row("RNN(3, 6, 0)"),
        Row("RNN(3, 6, 2, dropout=2.0)"),
        Row("RNN(3, '6')"),
    ],
    "Called": [
        Row("RNN(3, 6)(x)"),
        Row("RNN(3, 6)(x, h)"),
        Row("RNN(3, 6, batch_first=True)(x)"),
        Row("RNN(3, 6, 2, bidirectional=True)(x)"),
        Row("RNN(3, 6, 2, bidirectional=True)(x, h4)"),
        Row("RNN(3, 6, 2, bidirectional=True, batch_first=True)(x.transpose(0, 1), h4)"),
        Row("RNN(3, 6)(x[:, 0])"),
        Row("RNN(3, 6)(x[:, 0], h[:, 0])"),
        Row("RNN(3, 6, batch_first=True)(x[0])"),
        Row("RNN(3, 6)(x[:1])"),
        Row("RNN(3, 6)(x[:, :1])"),
        Row("RNN(3, 6)(x.transpose(0, 1).contiguous().transpose(0, 1))"),
        Row("RNN(3, 6)(x.expand(2, 5, 4, 3)[0])"),
        Row("RNN(3, 6)(short)"),
        Row("RNN(3, 6)(short, h)"),
        Row("RNN(3, 6, 2, bidirectional=True)(short, h4)"),
        Row("RNN(3, 6)(x, None)"),
        Row("RNN(3, 6).eval()(x)"),
        Row("nn.Sequential(RNN(3, 6))(x)"),
        Row("RNN(3, 6)(x, lengths=[3, 5, 1, 4])[1]", "lengths"),
        Row("RNN(3, 6, batch_first=True)(nested)[1]", "nested"),
    ],
    "Called wrongly": [
        Row("RNN(3, 6)(x[..., :2])", "error"),
        Row("RNN(3, 6)(x[0, 0])"),
        Row("RNN(3, 6)(x.unsqueeze(0))"),
        Row("RNN(3, 6)(x[:0])", "error"),
        Row("RNN(3, 6)(x, h[:, :2])", "error"),
        Row("RNN(3, 6)(x, h[0])", "error"),
        Row("RNN(3, 6)(x, h[..., :3])", "error"),
        Row("RNN(3, 6)(x[:, 0], h)", "error"),
        Row("RNN(3, 6)(x.double())"),
        Row("RNN(3, 6)(x.long())", "whole"),
        Row("RNN(3, 6)([1.0])", "error"),
        Row("RNN(3, 6)(None)", "error"),
        Row("RNN(3, 6)()"),
    ],
    "Gradients": [
        Row("torch.autograd.grad(RNN(3, 6)(v)[0].square().sum(), v)"),
        Row("torch.autograd.grad(RNN(3, 6)(x, k)[1].square().sum(), k)"),
        Row("torch.autograd.grad(RNN(3, 6)(v)[0].mul_(2).sum(), v)"),
        Row("torch.autograd.grad(pen(RNN(3, 6)).square().sum(), v)"),
        Row("torch.func.jacrev(lambda x: RNN(3, 6)(x)[0])(x)"),
        Row("torch.func.grad(lambda x: RNN(3, 6)(x)[0].sum())(x)"),
        Row("torch.no_grad()(RNN(3, 6))(x)"),
    ],
    "As a module": [
        Row("[RNN(3, 6, 2).input_size, RNN(3, 6, 2).hidden_size, RNN(3, 6, 2).num_layers]"),
        Row("[RNN(3, 6).bidirectional, RNN(3, 6).batch_first, RNN(3, 6).dropout, RNN(3, 6).bias]"),
        Row("RNN(3, 6).nonlinearity"),
        Row("RNN(3, 6).reset_parameters()"),
        Row("RNN(3, 6).flatten_parameters()"),
        Row("copy.deepcopy(RNN(3, 6))(x)"),
        Row("pickle.loads(pickle.dumps(RNN(3, 6)))(x)"),
        Row("RNN(3, 6).double()(x.double())"),
        Row("RNN(3, 6).to('meta')(x.to('meta'))"),
        Row("len(RNN(3, 6).state_dict())", "names"),
        Row("RNN(3, 6).load_state_dict(theirs)"),
        Row("nn.utils.parameters_to_vector(RNN(3, 6).parameters()).ndim"),
        Row("torch.func.functional_call(RNN(3, 6), {}, (x,))"),
        Row("autocast(RNN(3, 6), x)", "half"),
        Row("RNN(3, 6).all_weights", "cudnn"),
        Row("RNN(3, 6).with_solver('rk4')(x)", "solver"),
        Row("RNN(3, 6).step(x[0])[0]", "solver"),
    ],
}


def comparison() -> str:
    """The whole page, in Markdown.

    Raises:
        AssertionError: a row differs without a reason, or has a reason and does not differ.
    """
    lines = [HEAD.rstrip()]
    for title, rows in ROWS.items():
        lines += ["", f"## {title}", "", "| call | torch.nn.RNN | ElmanRNN | equal |", "| --- | --- | --- | --- |"]
        lines += [_line(row) for row in rows]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    theirs, ours = (_outcome(row.call, make) for make in (nn.RNN, _ours))
    equal = _same(theirs, ours)
    assert equal != bool(row.why), f"{row.call}: {_shown(theirs)} and {_shown(ours)}"
    verdict = "yes" if equal else REASONS[row.why]
    return f"| `{row.call}` | {_shown(theirs)} | {_shown(ours)} | {verdict} |"


def _ours(
    input_size: Any,
    hidden_size: Any,
    num_layers: Any = 1,
    nonlinearity: Any = "tanh",
    bias: Any = True,
    batch_first: Any = False,
    dropout: Any = 0.0,
    bidirectional: Any = False,
    device: Any = None,
    dtype: Any = None,
) -> ElmanRNN:
    """An ElmanRNN with the weights of torch's module of one seed."""
    settings = (input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional)
    rnn = ElmanRNN(*settings, device=device, dtype=dtype)
    torch.manual_seed(0)
    weights = nn.RNN(*settings, device=device, dtype=dtype).state_dict()
    if rnn.layers[0].field.input_map.weight.is_meta:  # pyright: ignore
        return rnn
    rnn.load_state_dict(weights)
    return rnn


def _outcome(call: str, make: Callable[..., nn.Module]) -> object:
    """What a call gives, or the error that it raises; both networks have the weights of one seed."""
    torch.manual_seed(2)
    x, h, h4 = torch.randn(5, 4, 3), torch.randn(1, 4, 6), torch.randn(4, 4, 6)
    v, k = x.clone().requires_grad_(), h.clone().requires_grad_()
    names = {
        "torch": torch,
        "nn": nn,
        "copy": copy,
        "pickle": pickle,
        "x": x,
        "h": h,
        "h4": h4,
        "v": v,
        "k": k,
        "short": pack_padded_sequence(x, torch.tensor([3, 5, 1, 4]), enforce_sorted=False),
        "nested": torch.nested.as_nested_tensor([x[:3, 0], x[:, 1]], layout=torch.jagged),
        "theirs": nn.RNN(3, 6).state_dict(),
        "pen": lambda rnn: torch.autograd.grad(rnn(v)[0].square().sum(), v, create_graph=True)[0],
        "autocast": _in_half,
    }
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(call, names | {"RNN": make})
        except Exception as error:
            return error


def _in_half(rnn: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return rnn(x)[0]


def _same(one: object, other: object) -> bool:
    if isinstance(one, Exception) or isinstance(other, Exception):
        return type(one) is type(other)
    if isinstance(one, tuple | list) and not isinstance(one, PackedSequence):
        return isinstance(other, tuple | list) and len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, PackedSequence):
        return isinstance(other, PackedSequence) and _same(one.data, other.data)
    if isinstance(one, Tensor):
        if not isinstance(other, Tensor) or one.shape != other.shape or one.dtype != other.dtype:
            return False
        return one.is_meta or torch.allclose(one, other, rtol=1e-5, atol=1e-5)
    return isinstance(one, nn.Module) or one == other


def _shown(value: object) -> str:
    if isinstance(value, Exception):
        return type(value).__name__
    if isinstance(value, PackedSequence):
        return f"packed {tuple(value.data.shape)}"
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple | list):
        return ", ".join(map(_shown, value))
    return type(value).__name__ if isinstance(value, nn.Module) else str(value)


if __name__ == "__main__":
    print(comparison(), end="")
