"""A program is a text both ways, and the kernels read the same text."""

import json
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from odernn import ENGINES, ODERNN, AntisymmetricField
from odernn.engines import native
from odernn.engines.method import EULER, LEAPFROG, Method, exponential, runge_kutta
from odernn.engines.program import Call, Operands, Program
from solvers import ETDRK2, RK4
from solvers.extend import Entry
from tests.reference import LINEAR_METHODS

TABLEAU = RK4().tableau
METHODS = (
    EULER,
    runge_kutta(TABLEAU.a, TABLEAU.b, TABLEAU.c),
    LEAPFROG,
    *LINEAR_METHODS.values(),
    exponential(ETDRK2.tableau.flow_entries, [[], [Entry(1 / 3, 0)]], [Entry(0.1, 1), Entry(1e-300, -1)], (0.0, 1.0)),
    Method("runge-kutta", (0.0,), (0.1 + 0.2,), (-1e22,)),
)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.family)
def test_its_text_is_json_and_reads_back_to_the_bit(method: Method) -> None:
    program = Program(method, "gated-tanh", "tanh", "linear", 3, True)
    assert Program.read(program.text) == program
    assert json.loads(program.text)["b"] == list(method.b)
    assert hash(Program.read(program.text)) == hash(program)


def test_only_other_products_than_those_of_the_state_are_told() -> None:
    assert "products" not in Program(EULER).text
    program = Program(EULER, products="bfloat16")
    assert Program.read(program.text) == program


class Told(TorchDispatchMode):
    """The products that each program of an operator names."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.products += [Program.read(text).products for text in args if isinstance(text, str) and "family" in text]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("engine", "dtype", "products"),
    [
        ("triton", torch.bfloat16, "bfloat16"),
        ("triton", torch.float16, "float32"),
        pytest.param("native", torch.bfloat16, "float32", marks=pytest.mark.kernels),
        ("torch", torch.bfloat16, "float32"),
    ],
)
def test_autocast_reaches_the_triton_kernels_forward_and_back(engine: str, dtype: torch.dtype, products: str) -> None:
    rnn = ODERNN(AntisymmetricField(2, 4), "heun", dt=0.1, adjoint=ENGINES[engine].operator)
    x = torch.randn(5, 3, 2)
    with Told() as told:
        with torch.autocast("cpu", dtype=dtype):
            output, _ = rnn(x)
        output.sum().backward()
        rnn(x)
    assert told.products == [products, products, "float32"]


def call(operands: Operands, text: str) -> torch.Tensor:
    return torch.ops.odernn_native.solve(*operands, text, False)[1]


@pytest.mark.kernels
def test_the_kernels_take_the_text_in_any_order_and_spacing() -> None:
    native.load()
    made = Call(y0=torch.ones(2, 4), weight=torch.eye(4), samples=torch.ones(3, 2, 4), method=METHODS[1], dt=0.1)
    facts = json.loads(made.program.text)
    turned = json.dumps(dict(reversed(facts.items())), separators=(" ,  ", " :  "))
    assert torch.equal(call(made.operands, turned), call(made.operands, made.program.text))


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not the text of a Program"),
        ('{"kind": "tanh"', "is not the text of a Program"),
        ('{"kind": tanh}', "is not the text of a Program"),
        ('{"kind": "tanh', "is not the text of a Program"),
        ('{"b": [1.0, ]}', "is not the text of a Program"),
        ('{"b": [1.0 2.0]}', "is not the text of a Program"),
        ('{"packed": fine}', "is not the text of a Program"),
        ('{"substeps": 1} and more', "is not the text of a Program"),
        ('{"colour": "red"}', "the entry 'colour'"),
    ],
)
def test_a_broken_text_is_an_error(text: str, said: str) -> None:
    native.load()
    made = Call(y0=torch.ones(2, 4), weight=torch.eye(4), samples=torch.ones(3, 2, 4), method=EULER, dt=0.1)
    with pytest.raises(ValueError, match=said):
        call(made.operands, text)
