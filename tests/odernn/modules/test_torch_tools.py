"""Law: what torch does with a module it does with a layer and a stack, and the numbers stay what they are."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, jacrev, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from odernn import ODERNN, AntisymmetricField, AntisymmetricRNN, HamiltonianField, VectorField
from tests import children

Network = ODERNN | AntisymmetricRNN
# torch's own, while it traces: a context variable of its decomposition tables, and its first use of jit.
tracing = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")


def a_layer(**options: object) -> Network:
    return ODERNN(AntisymmetricField(2, 4), "rk4", dt=0.1, **options)  # pyright: ignore[reportArgumentType]


def a_stack(**options: object) -> Network:
    return AntisymmetricRNN(2, 4, 2, bidirectional=True, **options)  # pyright: ignore[reportArgumentType]


layer_and_full_stack = pytest.mark.parametrize("make", [a_layer, pytest.param(a_stack, marks=pytest.mark.full)])
both = pytest.mark.parametrize("make", [a_layer, a_stack])


def x() -> Tensor:
    return torch.randn(5, 3, 2)


def field_of(network: Network) -> VectorField:
    layer = network if isinstance(network, ODERNN) else network.layers[0]
    assert isinstance(layer, ODERNN)
    return layer.field


@both
def test_fake_tensors(make: Callable[..., Network]) -> None:
    with FakeTensorMode():
        network = make()
        assert network(torch.randn(5, 3, 2))[0].shape == (5, 3, 4 if make is a_layer else 8)


@both
@tracing
def test_make_fx(make: Callable[..., Network]) -> None:
    network, given = make(check_input=True), x()
    traced = make_fx(lambda x: network(x)[0])(given)
    other = x()
    assert torch.equal(traced(other), network(other)[0])


@both
def test_flops_are_counted(make: Callable[..., Network]) -> None:
    """The counter hooks all modules, and a layer whose modules have hooks goes step by step."""
    network, given = make(), x()
    with FlopCounterMode(display=False) as counter:
        network(given)
    cells = 1 if make is a_layer else 4
    stages = 4 if make is a_layer else 1
    inputs = [2] if make is a_layer else [2, 2, 8, 8]
    recurrent = cells * 5 * stages * 2 * 3 * 4 * 4
    assert counter.get_total_flops() == recurrent + sum(2 * 5 * 3 * width * 4 for width in inputs)


@layer_and_full_stack
@tracing
def test_a_compiled_network_is_not_compiled_for_every_length_and_batch(make: Callable[..., Network]) -> None:
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    network = make()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    for time, batch in ((5, 3), (7, 2), (9, 4), (11, 5)):
        given = torch.randn(time, batch, 2)
        torch.testing.assert_close(compiled(given)[0], network(given)[0])
    # the first shape, then one for all
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2


class Everything(nn.Module):
    """A layer, a stack and a step of the layer, in one program."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.stack = a_layer(), a_stack()

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        layer, stack = self.layer, self.stack
        assert isinstance(layer, ODERNN)
        return *layer(x), *stack(x), layer.step(x[0], y)[0]  # pyright: ignore[reportReturnType]


ELSEWHERE = """
import sys, torch, odernn, warnings
warnings.simplefilter("ignore")
given, wanted = torch.load(sys.argv[1] + "/case.pt", weights_only=True)
program = torch.export.load(sys.argv[1] + "/exported.pt2").module()
package = torch._inductor.aoti_load_package(sys.argv[1] + "/packaged.pt2")
for load in (program, package):
    torch.testing.assert_close(tuple(load(*given)), wanted)
"""


@pytest.mark.full
@pytest.mark.kernels
@pytest.mark.filterwarnings("ignore")
def test_an_exported_program_and_an_aot_inductor_package_in_another_process(tmp_path: Path) -> None:
    """Of any length and batch; operators that torch finds by their names, beside code that is made here."""
    module = Everything()
    time, batch = torch.export.Dim("time", min=2), torch.export.Dim("batch", min=2)
    shapes = ({0: time, 1: batch}, {0: batch})
    program = torch.export.export(module, (x(), torch.randn(3, 4)), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "exported.pt2")
    torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "packaged.pt2"))
    other = (torch.randn(9, 4, 2), torch.randn(4, 4))
    torch.save((other, tuple(each.detach() for each in module(*other))), tmp_path / "case.pt")
    children.run(ELSEWHERE, tmp_path, str(tmp_path))


class Step(nn.Module):
    """One sample of a network, for a runtime that keeps the state itself."""

    def __init__(self, network: ODERNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.network.step(x, y)[0]


class WithLengths(nn.Module):
    """A network that takes the samples of each sequence as a tensor."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(x, lengths=lengths)  # pyright: ignore[reportReturnType]


def a_step() -> tuple[nn.Module, list[Tensor], list[Tensor]]:
    layer = a_layer()
    assert isinstance(layer, ODERNN)
    return Step(layer), [torch.randn(3, 2), torch.randn(3, 4)], [torch.randn(4, 2), torch.randn(4, 4)]


def a_whole_network() -> tuple[nn.Module, list[Tensor], list[Tensor]]:
    other = [torch.randn(9, 4, 2), torch.tensor([1, 9, 3, 2])]
    return WithLengths(a_stack()), [x(), torch.tensor([5, 2, 4])], other


def a_linear_hold() -> tuple[nn.Module, list[Tensor], list[Tensor]]:
    return a_layer(hold="linear", substeps=2), [x()], [torch.randn(11, 4, 2)]


def a_partition() -> tuple[nn.Module, list[Tensor], list[Tensor]]:
    return ODERNN(HamiltonianField(2, 4), "leapfrog", dt=0.1), [x()], [torch.randn(2, 4, 2)]


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [a_step, a_whole_network, a_linear_hold, a_partition])
def test_onnx_gives_the_same_numbers(
    make: Callable[[], tuple[nn.Module, list[Tensor], list[Tensor]]], tmp_path: Path
) -> None:
    """Of any batch, and of sequences of any length."""
    pytest.importorskip("onnxscript", reason="the ONNX exporter needs onnxscript")
    runtime = pytest.importorskip("onnxruntime", reason="nothing else runs the file")
    module, given, other = make()
    time, batch = torch.export.Dim("time", min=2), torch.export.Dim("batch", min=2)
    shapes = [{0: time, 1: batch} if each.ndim == 3 else {0: batch} for each in given]
    file = str(tmp_path / "network.onnx")
    with torch.no_grad():
        torch.onnx.export(module.eval(), tuple(given), file, dynamo=True, verbose=False, dynamic_shapes=shapes)
    session = runtime.InferenceSession(file)
    named = {each.name: value.numpy() for each, value in zip(session.get_inputs(), other, strict=True)}
    found, wanted = [torch.as_tensor(each) for each in session.run(None, named)], module(*other)
    wanted = [wanted] if isinstance(wanted, Tensor) else list(wanted)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@both
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_state_stays_in_single_precision(make: Callable[..., Network], dtype: torch.dtype) -> None:
    network, given = make(), x()
    wanted = network(given)[0]
    with torch.autocast("cpu", dtype):
        output, y_n = network(given.to(dtype))
    assert output.dtype == y_n.dtype == torch.float32
    # the input was rounded, to 8 or 11 bits, and may be of size three
    torch.testing.assert_close(output, wanted, rtol=0, atol=0.05 if dtype is torch.bfloat16 else 0.01)
    output.sum().backward()


@both
def test_an_ensemble_of_weights_and_a_jacobian(make: Callable[..., Network]) -> None:
    networks, given = [make() for _ in range(3)], x()
    parameters, buffers = stack_module_state(networks)  # pyright: ignore[reportArgumentType]
    base = copy.deepcopy(networks[0])
    found = vmap(lambda p, b: functional_call(base, (p, b), (given,))[0])(parameters, buffers)
    torch.testing.assert_close(found, torch.stack([network(given)[0] for network in networks]))
    wanted = torch.autograd.functional.jacobian(lambda x: base(x)[0], given)
    torch.testing.assert_close(jacrev(lambda x: base(x)[0])(given), wanted)


@both
def test_a_gradient_penalty(make: Callable[..., Network]) -> None:
    network, given = make(), x().requires_grad_()

    def penalised(adjoint: str) -> tuple[Tensor, ...]:
        other = make(adjoint=adjoint)
        other.load_state_dict(network.state_dict())
        (slope,) = torch.autograd.grad(other(given)[0].square().sum(), given, create_graph=True)
        return torch.autograd.grad((slope.norm() - 1).square(), list(other.parameters()))

    torch.testing.assert_close(penalised("auto"), penalised("autograd"))


@both
def test_copies_averages_and_files(make: Callable[..., Network], tmp_path: Path) -> None:
    network, given = make(), x()
    wanted = network(given)[0]
    assert torch.equal(copy.deepcopy(network)(given)[0], wanted)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.update_parameters(network)
    assert torch.equal(average(given)[0], wanted)
    safetensors = pytest.importorskip("safetensors.torch", reason="not installed")
    safetensors.save_model(network, str(tmp_path / "weights.safetensors"))
    fresh = make()
    safetensors.load_model(fresh, str(tmp_path / "weights.safetensors"))
    assert torch.equal(fresh(given)[0], wanted)


@both
def test_weights_that_are_parametrised_pruned_or_adapted(make: Callable[..., Network]) -> None:
    given = x()
    normed = make()
    wanted = normed(given)[0]
    parametrizations.weight_norm(field_of(normed).input_map)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(normed(given)[0], wanted)
    pruned = make()
    prune.l1_unstructured(field_of(pruned).input_map, "weight", 0.5)  # pyright: ignore[reportArgumentType]
    before = pruned(given)[0]
    prune.remove(field_of(pruned).input_map, "weight")  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(pruned(given)[0], before)
    adapted = make()
    plain = adapted(given)[0]
    field = field_of(adapted)
    adapter = LowRank(field.input_map)  # pyright: ignore[reportArgumentType]
    field.input_map = adapter
    torch.testing.assert_close(adapted(given)[0], plain)
    adapted(given)[0].sum().backward()
    assert adapter.up.grad is not None
    assert adapter.base.weight.grad is None
    assert adapter.up.grad.abs().max() > 0


class LowRank(nn.Module):
    """A linear map and a learned change of rank two, as LoRA puts it in the place of a frozen one.

    Source: Hu et al., LoRA: low-rank adaptation of large language models (ICLR 2022), sec. 4.1.
    """

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(2, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.down.T @ self.up.T


@both
@pytest.mark.filterwarnings("ignore")  # torch's quantisation moves to another package
def test_dynamic_quantisation_of_the_map_of_the_input(make: Callable[..., Network]) -> None:
    network, given = make().eval(), x()
    small = torch.ao.quantization.quantize_dynamic(copy.deepcopy(network), {nn.Linear}, dtype=torch.qint8)
    assert "Quantized" in repr(small)
    # eight bits of weights and inputs of size three
    torch.testing.assert_close(small(given)[0], network(given)[0], rtol=0, atol=0.1)


@both
def test_a_sequence_that_is_not_finite_is_passed_on_alone(make: Callable[..., Network]) -> None:
    network, given = make(on_divergence="ignore"), x()
    given[2, 1] = float("nan")
    output, _ = network(given)
    assert output[:, ::2].isfinite().all()
    assert output[2:, 1].isnan().all()
    assert output[:2, 1].isfinite().all() == (make is a_layer)  # the other direction brings it to the first sample


PROCESS = """
import sys, torch, torch.distributed as dist
from copy import deepcopy
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from odernn import AntisymmetricRNN

rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", rank=rank, world_size=2, init_method="file://" + folder + "/meet")
torch.manual_seed(0)
network = AntisymmetricRNN(2, 4, 2, bidirectional=True)
x = torch.randn(5, 6, 2)
wanted = torch.autograd.grad(network(x)[0].square().mean(), list(network.parameters()))
replicated = DistributedDataParallel(deepcopy(network))
sharded = fully_shard(network, mesh=dist.device_mesh.init_device_mesh("cpu", (2,)))
for wrapped in (replicated, sharded):
    wrapped(x[:, rank::2])[0].square().mean().backward()
    for parameter, gradient in zip(wrapped.parameters(), wanted):
        found = parameter.grad if wrapped is replicated else parameter.grad.full_tensor()
        torch.testing.assert_close(found, gradient)
dist.destroy_process_group()
"""


@pytest.mark.full
def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    """Replicated and sharded."""
    commands = [[sys.executable, "-W", "ignore", "-c", PROCESS, str(rank), str(tmp_path)] for rank in range(2)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
