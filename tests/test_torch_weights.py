"""recurra.torch reads weights as they are at each call, whoever changes or computes them; what it leaves to PyTorch."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cells_on_the_engine"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attributes .* were assigned during export:UserWarning"),
]

from torch.nn.utils import parametrizations, parametrize  # noqa: E402

import recurra.torch  # noqa: E402
from torch_twins import ALL, FORWARD, LAYERS, assert_as_pytorch, first, given, in_place, stepped, twin  # noqa: E402

# Parameters that somebody changes, replaces, shares or computes


def edit_data(weight):
    weight.data.mul_(0.5)


def edit_array(weight):
    weight.detach().numpy()[...] *= 0.5


def edit_counted(weight):
    with torch.no_grad():
        weight.mul_(0.5)


def edit_pointer(weight):
    weight.data = weight.data * 0.5


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("edit", [edit_data, edit_array, edit_counted, edit_pointer])
def test_every_way_of_changing_a_weight_is_seen_by_the_next_call(name, edit):
    module, x = getattr(recurra.torch, name)(4, 6), given(name)
    for weight in module.parameters():
        before = stepped(module, x).detach()
        edit(weight)
        assert not torch.equal(stepped(module, x), before)
        assert_as_pytorch(module, x)


def test_a_weight_turned_in_place_is_read_through_its_strides():
    module, x = recurra.torch.RNN(4, 4), given("RNN")
    module(x)
    module.weight_ih_l0.data = module.weight_ih_l0.data.t()
    assert_as_pytorch(module, x)
    module(x)[0].sum().backward()
    assert module.weight_ih_l0.grad.shape == (4, 4)


@pytest.mark.parametrize("edit", [edit_counted, edit_pointer])
def test_unchanged_weights_still_sees_what_pytorch_counts(edit):
    module, x = recurra.torch.LSTM(4, 6), given("LSTM")
    with recurra.torch.unchanged_weights(torch.nn.Sequential(module)), torch.no_grad():
        for weight in [*module.parameters()] * 2:
            before = module(x)[0]
            assert torch.equal(module(x)[0], before)
            edit(weight)
            assert not torch.equal(module(x)[0], before)
            assert_as_pytorch(module, x)
        before = module(x)[0]
        weight.data.mul_(0.5)
        assert torch.equal(module(x)[0], before)  # what the caller vouched would not happen
    assert_as_pytorch(module, x)


def test_inference_tensors_as_weights():
    with torch.inference_mode():
        module = recurra.torch.GRU(4, 6)
        with recurra.torch.unchanged_weights(module):
            assert_as_pytorch(module)
            y = module(given("GRU"))[0]
    assert y.is_inference()


@pytest.mark.parametrize("name", ALL)
def test_a_replaced_parameter_counts(name):
    module = getattr(recurra.torch, name)(4, 6)
    key = next(key for key, _ in module.named_parameters() if key.startswith("weight_hh"))
    square = torch.nn.Parameter(torch.randn_like(getattr(module, key)))
    setattr(module, key, square)
    assert_as_pytorch(module)
    first(module(given(name))).sum().backward()
    assert square.grad is not None
    transposed = torch.nn.Parameter(getattr(module, key).detach().T.contiguous().T)
    setattr(module, key, transposed)
    assert_as_pytorch(module)


def test_one_parameter_in_two_modules_gets_both_gradients():
    def pair(library):
        torch.manual_seed(5)
        made = torch.nn.ModuleList([library.LSTM(4, 6), library.LSTM(4, 6)])
        made[1].weight_hh_l0 = made[0].weight_hh_l0
        made[1].bias_ih_l0 = made[1].bias_hh_l0 = made[0].bias_ih_l0
        return made

    found = []
    for library in (recurra.torch, torch.nn):
        modules = pair(library)
        for _ in range(2):
            if library is recurra.torch:
                for module in modules:
                    module.flatten_parameters()
            modules.zero_grad()
            loss = sum(module(given("LSTM"))[0].square().sum() for module in modules)
            loss.backward()
            with torch.no_grad():
                for weight in modules.parameters():
                    weight -= 0.1 * weight.grad
        found.append([loss.detach(), *(weight.grad for weight in modules.parameters())])
    assert modules[1].weight_hh_l0 is modules[0].weight_hh_l0
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "old weight_norm"])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_computed_weights_are_read_at_each_call(name, kind):
    torch.manual_seed(2)
    ours, theirs = getattr(recurra.torch, name)(4, 6), getattr(torch.nn, name)(4, 6)
    theirs.load_state_dict(ours.state_dict())
    apply = torch.nn.utils.weight_norm if kind.startswith("old") else getattr(parametrizations, kind)
    for module in (ours, theirs):
        apply(module, "weight_hh_l0")
        module.eval()
    theirs.load_state_dict(ours.state_dict())
    x = given(name)
    for _ in range(2):
        found = []
        for module in (ours, theirs):
            module.zero_grad()
            y = module(x)[0]
            y.square().sum().backward()
            found.append([y, *(weight.grad for weight in module.parameters())])
            with torch.no_grad():
                for weight in module.parameters():
                    weight -= 0.1 * weight.grad
        for mine, other in zip(*found, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    if kind != "old weight_norm":
        parametrize.remove_parametrizations(ours, "weight_hh_l0")
        assert type(ours) is getattr(recurra.torch, name)


# What goes to PyTorch


def test_tracing_and_exporting_record_pytorchs_operations():
    module, x = recurra.torch.LSTM(4, 6), given("LSTM")
    traced = torch.jit.trace(module, x)
    assert "aten::lstm" in str(traced.inlined_graph)
    torch.testing.assert_close(traced(x)[0], module(x)[0], **FORWARD)
    exported = torch.export.export(torch.nn.Sequential(module), (x,)).module()
    torch.testing.assert_close(exported(x)[0], module(x)[0], **FORWARD)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf Tensor:UserWarning")
def test_compiled_networks_are_pytorchs(name):
    network = torch.nn.ModuleDict({"rnn": getattr(recurra.torch, name)(4, 6), "out": torch.nn.Linear(6, 2)})
    x = given(name)

    def run(x):
        return network["out"](first(network["rnn"](x)))

    expected = run(x)
    compiled = torch.compile(run, backend="eager")
    torch.testing.assert_close(compiled(x), expected, rtol=0, atol=1e-4)
    compiled(x).sum().backward()
    assert all(weight.grad is not None for weight in network["out"].parameters())


def test_scripting_is_refused_with_a_way_out():
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), recurra.torch.LSTM(4, 6))
    with pytest.raises(
        RuntimeError, match=r"^module: expected one that torch.jit.script can compile, got recurra.torch.L"
    ):
        torch.jit.script(network)
    assert type(network[1]) is recurra.torch.LSTM


def test_autocast_functional_calls_and_function_transforms():
    module, x = recurra.torch.LSTM(4, 6), given("LSTM")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(x)[0].dtype == torch.bfloat16
    doubled = {key: value * 2 for key, value in module.state_dict().items()}
    expected = torch.func.functional_call(twin(module), doubled, (x,))[0]
    torch.testing.assert_close(torch.func.functional_call(module, doubled, (x,))[0], expected, **FORWARD)
    gradient = torch.func.grad(lambda x: module(x)[0].sum())(x)
    leaf = x.clone().requires_grad_()
    module(leaf)[0].sum().backward()
    torch.testing.assert_close(gradient, leaf.grad, rtol=0, atol=1e-4)
    assert in_place(module)
